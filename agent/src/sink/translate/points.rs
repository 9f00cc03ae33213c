//! Points of metrics in the shapes of OTLP.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use trackway_core::metrics::{Instrument, Kind, Point, Temporality, Value};
use trackway_core::telemetry::{Content, Resource};

use super::{attributes, scope};

/// One request: a `ResourceMetrics` for each resource, in it each metric once. Points of one metric stand in a
/// row, as the core reports them.
pub fn request(points: &[Point], temporality: Temporality, schema: &str) -> ExportMetricsServiceRequest {
    let temporality = match temporality {
        Temporality::Cumulative => AggregationTemporality::Cumulative,
        Temporality::Delta => AggregationTemporality::Delta,
    };
    let mut groups: Vec<(&Arc<Resource>, Vec<Metric>)> = Vec::new();
    for point in points {
        let place = groups.iter().position(|(other, _)| *other == &point.resource);
        let place = place.unwrap_or_else(|| {
            groups.push((&point.resource, Vec::new()));
            groups.len() - 1
        });
        let Some((_, metrics)) = groups.get_mut(place) else { continue };
        match metrics.last_mut().filter(|metric| metric.name == point.instrument.name) {
            Some(metric) => push(metric, point),
            None => {
                let mut metric = metric(point.instrument, temporality);
                push(&mut metric, point);
                metrics.push(metric);
            }
        }
    }
    let groups = groups.into_iter().map(|(resource, metrics)| ResourceMetrics {
        resource: Some(ProtoResource {
            attributes: attributes(&resource.attributes, Content::None),
            ..ProtoResource::default()
        }),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope()), metrics, schema_url: schema.to_owned() }],
        schema_url: schema.to_owned(),
    });
    ExportMetricsServiceRequest { resource_metrics: groups.collect() }
}

fn metric(instrument: &Instrument, temporality: AggregationTemporality) -> Metric {
    let aggregation_temporality = temporality as i32;
    let data_points = Vec::new();
    let data = match instrument.kind {
        Kind::Histogram(_) => Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality }),
        Kind::Gauge => Data::Gauge(Gauge { data_points }),
        Kind::Counter | Kind::Money => {
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
        }
    };
    Metric {
        name: instrument.name.to_owned(),
        description: instrument.description.to_owned(),
        unit: instrument.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn push(metric: &mut Metric, point: &Point) {
    let value = match &point.value {
        Value::Count(count) => Number::AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
        Value::Number(number) => Number::AsDouble(*number),
        Value::Histogram(values) => {
            if let Some(Data::Histogram(histogram)) = &mut metric.data {
                histogram.data_points.push(HistogramDataPoint {
                    attributes: attributes(&point.attributes, Content::None),
                    start_time_unix_nano: point.start.0,
                    time_unix_nano: point.time.0,
                    count: values.count,
                    sum: Some(values.sum),
                    bucket_counts: values.buckets.clone(),
                    explicit_bounds: values.bounds.to_vec(),
                    min: (values.count > 0).then_some(values.min),
                    max: (values.count > 0).then_some(values.max),
                    ..HistogramDataPoint::default()
                });
            }
            return;
        }
    };
    let number = NumberDataPoint {
        attributes: attributes(&point.attributes, Content::None),
        start_time_unix_nano: point.start.0,
        time_unix_nano: point.time.0,
        value: Some(value),
        ..NumberDataPoint::default()
    };
    match &mut metric.data {
        Some(Data::Sum(sum)) => sum.data_points.push(number),
        Some(Data::Gauge(gauge)) => gauge.data_points.push(number),
        _ => {}
    }
}
