//! Connections that are counted, and that can be cut from inside a handler.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Counts of connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    accepted: AtomicUsize,
    open: Arc<AtomicUsize>,
}

impl Connections {
    /// All connections since the start.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// A listener on a loopback port.
#[derive(Debug)]
pub(crate) struct Bound {
    tcp: TcpListener,
    connections: Arc<Connections>,
}

impl Bound {
    /// Takes a free port.
    pub(crate) async fn new(connections: Arc<Connections>) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(("127.0.0.1", 0)).await?, connections })
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        self.tcp.local_addr().map(|address| address.port())
    }
}

impl Listener for Bound {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            // A failed accept concerns one client, which is gone.
            if let Ok((tcp, address)) = self.tcp.accept().await {
                self.connections.accepted.fetch_add(1, Ordering::SeqCst);
                self.connections.open.fetch_add(1, Ordering::SeqCst);
                let connection = Connection { is_cut: Arc::default() };
                let open = Arc::clone(&self.connections.open);
                return (Wire { tcp, connection, open }, address);
            }
            tokio::task::yield_now().await;
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A handle to the connection that a request came on.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    is_cut: Arc<AtomicBool>,
}

impl Connection {
    /// Lets every further write fail, so that the client sees the connection end.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Bound>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Bound>) -> Self {
        stream.io().connection.clone()
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    connection: Connection,
    open: Arc<AtomicUsize>,
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.connection.is_cut.load(Ordering::SeqCst) {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut on purpose"))
        } else {
            Ok(())
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Err(error) = self.check() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.tcp).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
