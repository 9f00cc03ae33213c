//! The least that any proxy must do: TLS on both sides and a copy of bytes in between, nothing else.

use std::path::PathBuf;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{cpu, pki};

#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    folder: PathBuf,
    /// Port of the origin.
    origin: u16,
}

/// Serves until it is killed. Says its port on the first line of its output.
pub(crate) async fn serve(options: Options) -> Result<()> {
    cpu::pin(cpu::PROXY_CORE);
    let acceptor = TlsAcceptor::from(pki::server(&options.folder)?);
    let connector = TlsConnector::from(pki::client(&options.folder.join("ca.pem"))?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (client, _) = listener.accept().await?;
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tokio::spawn(async move {
            if let Err(_ended) = copy(client, acceptor, connector, options.origin).await {
                // One side reset the connection, and with it the other.
            }
        });
    }
}

async fn copy(client: TcpStream, acceptor: TlsAcceptor, connector: TlsConnector, origin: u16) -> Result<()> {
    client.set_nodelay(true)?;
    let origin = TcpStream::connect(("127.0.0.1", origin)).await?;
    origin.set_nodelay(true)?;
    let mut origin = connector.connect(pki::HOST.try_into()?, origin).await?;
    let mut client = acceptor.accept(client).await?;
    tokio::io::copy_bidirectional(&mut client, &mut origin).await?;
    Ok(())
}
