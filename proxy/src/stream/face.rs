//! What pingora asks of a stream beyond reading and writing.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::AsyncWriteExt;

use super::Side;

#[async_trait]
impl Shutdown for Side {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::trace!(%error, "shutdown");
        }
    }
}

impl UniqueID for Side {
    fn id(&self) -> UniqueIDType {
        self.wire().tcp().as_raw_fd()
    }
}

impl Ssl for Side {}

impl Peek for Side {}

impl GetTimingDigest for Side {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Side {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Side {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
