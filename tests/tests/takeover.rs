//! Where a client does not trust the run's certificate, its connections are tunnelled and the tap reads them: each
//! call once, and what neither has read is said.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use trackway_tests::provider::Behaviour;
use trackway_tests::world::{World, privileged};

const ARRIVAL: Duration = Duration::from_secs(10);
const ANSWERED: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_does_not_let_the_proxy_read_the_tap_reads() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let root = world.namespace.folder().join("certs/mock-provider.pem");
    let job = world.command(&["python", "pinned_on.py", &root.to_string_lossy(), &ANSWERED.to_string()])?;
    let outcome = world.wrapped(job).await?.success()?;
    let spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await?;
    let refused: usize = outcome.stdout.split_whitespace().nth(1).unwrap_or_default().parse()?;

    let read: Vec<_> = spans.0.iter().filter(|span| span.text("url.path") == "/weather").collect();
    for span in &read {
        ensure!(span.text("trackway.capture.plane") == "tap", "{spans}");
        ensure!(span.text("trackway.capture.library") == "openssl", "{spans}");
    }
    let urls: BTreeSet<&str> = read.iter().map(|span| span.text("url.full")).collect();
    ensure!(urls.len() == read.len(), "a call is there twice\n{spans}");
    let unread = |reason: &str| {
        let reasons = spans.0.iter().map(|span| span.text("trackway.unread.reason"));
        reasons.filter(|said| said.split(':').next() == Some(reason)).count()
    };
    ensure!(unread("client_refused") == refused, "{refused} were refused\n{spans}");
    // Before the tap has found its way into the process, some may pass unread.
    let before = unread("refused_before");
    ensure!(read.len() + before == ANSWERED, "{} read, {before} unread of {ANSWERED}\n{spans}", read.len());
    ensure!(read.len() > ANSWERED / 2, "{} read of {ANSWERED}\n{}", read.len(), outcome.stderr);
    Ok(())
}
