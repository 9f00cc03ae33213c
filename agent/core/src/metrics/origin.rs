//! Whose metrics they are: the service, and not each of its processes.

use std::sync::Arc;

use crate::limits::METRIC_ORIGINS;
use crate::names;
use crate::telemetry::{Attribute, AttributeValue, Class, Resource, TraceId};

#[derive(Debug, Default)]
pub(super) struct Origins {
    known: Vec<Arc<Resource>>,
    /// The resource that was asked for last: spans of one process come in a row.
    last: Option<(Arc<Resource>, usize)>,
    /// Tells this writer of the metrics from every other, as cumulative sums demand.
    instance: Option<String>,
}

impl Origins {
    /// The number of a span's origin.
    pub(super) fn of(&mut self, trace: TraceId, resource: &Arc<Resource>) -> usize {
        if let Some((last, place)) = &self.last
            && Arc::ptr_eq(last, resource)
        {
            return *place;
        }
        let own = self.own(trace, resource);
        let place = match self.known.iter().position(|known| **known == own) {
            Some(place) => place,
            None if self.known.len() < METRIC_ORIGINS => {
                self.known.push(Arc::new(own));
                self.known.len() - 1
            }
            // Said as a whole, under no service's name.
            None => METRIC_ORIGINS,
        };
        self.last = Some((Arc::clone(resource), place));
        place
    }

    pub(super) fn resource(&self, place: usize) -> Arc<Resource> {
        self.known.get(place).cloned().unwrap_or_else(|| {
            let attributes = self.instance.clone().map(instance).into_iter().collect();
            Arc::new(Resource { attributes })
        })
    }

    fn own(&mut self, trace: TraceId, resource: &Resource) -> Resource {
        let shared = |attribute: &&Attribute| {
            !attribute.key.starts_with("process.") && attribute.key != names::SERVICE_INSTANCE_ID
        };
        let mut attributes: Vec<Attribute> = resource.attributes.iter().filter(shared).cloned().collect();
        attributes.push(instance(self.instance.get_or_insert_with(|| trace.to_string()).clone()));
        Resource { attributes }
    }
}

fn instance(id: String) -> Attribute {
    Attribute { key: names::SERVICE_INSTANCE_ID.into(), value: AttributeValue::Text(id), class: Class::Plain }
}
