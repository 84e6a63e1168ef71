//! A real SMTP server on loopback, whose mood a test changes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Longer than anything here takes: what does not come by then will not come.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the server meets its clients.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// Takes every mail.
    Up,
    /// Hangs up on everyone.
    Down,
    /// Answers this to every recipient.
    Refusing(&'static str),
}

/// What the server offers to keep others from listening.
#[derive(Clone)]
pub enum Security {
    /// Nothing.
    None,
    /// STARTTLS.
    StartTls(TlsAcceptor),
    /// TLS from the first byte on.
    Tls(TlsAcceptor),
}

/// A mail that was taken.
#[derive(Debug)]
pub struct Received {
    /// The sender, as of the envelope.
    pub from: String,
    /// The recipient, as of the envelope.
    pub to: String,
    /// Head and body.
    pub data: String,
    /// Whether it came over TLS.
    pub is_encrypted: bool,
}

impl Received {
    /// The code in the text.
    ///
    /// # Panics
    /// Where there is none.
    pub fn code(&self) -> String {
        let (_, rest) = self.data.split_once("Your code: ").expect("a code");
        rest.chars().take_while(char::is_ascii_digit).collect()
    }

    /// The value of a header.
    ///
    /// # Panics
    /// Where there is none.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.data.lines().take_while(|line| !line.is_empty());
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().expect("the header")
    }
}

/// The server.
#[derive(Debug)]
pub struct MailServer {
    port: u16,
    mood: Arc<Mutex<Mood>>,
    received: UnboundedReceiver<Received>,
    failed: UnboundedReceiver<()>,
}

struct Session {
    mood: Arc<Mutex<Mood>>,
    security: Security,
    received: UnboundedSender<Received>,
}

impl MailServer {
    /// Starts one that offers no security.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start() -> Self {
        Self::start_with(Security::None).await
    }

    /// Starts one.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start_with(security: Security) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mood = Arc::new(Mutex::new(Mood::Up));
        let (mails, received) = unbounded_channel();
        let (failures, failed) = unbounded_channel();
        let for_sessions = mood.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                let mood = for_sessions.clone();
                let session = Session { mood, security: security.clone(), received: mails.clone() };
                let failures = failures.clone();
                tokio::spawn(async move {
                    if session.serve(stream).await.is_none() {
                        // Nobody may be waiting for failures.
                        let _ = failures.send(());
                    }
                });
            }
        });
        Self { port, mood, received, failed }
    }

    /// Its address, with `tls` after it where that is not empty.
    pub fn url(&self, scheme: &str, tls: &str) -> String {
        format!("{scheme}://localhost:{}{tls}", self.port)
    }

    /// Changes its mood.
    ///
    /// # Panics
    /// Where a thread has panicked while it did so.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panic") = mood;
    }

    /// The next mail that is taken.
    ///
    /// # Panics
    /// Where none comes within a minute.
    pub async fn next(&mut self) -> Received {
        let received = timeout(PATIENCE, self.received.recv()).await;
        received.expect("a mail in time").expect("the server runs")
    }

    /// The next mail, if it has been taken or comes within that time.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Received> {
        timeout(patience, self.received.recv()).await.ok().flatten()
    }

    /// Waits for the next client that leaves without having sent a mail.
    ///
    /// # Panics
    /// Where none does within a minute.
    pub async fn next_failure(&mut self) {
        let failed = timeout(PATIENCE, self.failed.recv()).await;
        failed.expect("a failure in time").expect("the server runs");
    }
}

impl Session {
    /// `Some` where a mail was taken.
    async fn serve(self, tcp: TcpStream) -> Option<()> {
        match self.security.clone() {
            Security::None => self.talk(tcp, false, true).await.0,
            Security::Tls(acceptor) => {
                self.talk(acceptor.accept(tcp).await.ok()?, true, true).await.0
            }
            Security::StartTls(acceptor) => {
                let (taken, upgraded) = self.talk(tcp, false, true).await;
                let Some(tcp) = upgraded else { return taken };
                self.talk(acceptor.accept(tcp).await.ok()?, true, false).await.0
            }
        }
    }

    /// Whether a mail was taken, and the stream where the client wants to go on in secret.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        is_encrypted: bool,
        greets: bool,
    ) -> (Option<()>, Option<S>) {
        let mut stream = BufReader::new(stream);
        let (mut taken, mut from, mut to) = (None, String::new(), String::new());
        let mut answer = greets.then(|| "220 test ESMTP".to_owned());
        loop {
            if let Some(answer) = answer.take()
                && stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err()
            {
                return (taken, None);
            }
            let mood = *self.mood.lock().expect("no panic");
            let mut line = String::new();
            let read = stream.read_line(&mut line).await.unwrap_or(0);
            if read == 0 || matches!(mood, Mood::Down) {
                return (taken, None);
            }
            let (verb, rest) = line.trim_end().split_at(4.min(line.trim_end().len()));
            answer = Some(match (verb.to_ascii_uppercase().as_str(), mood) {
                ("EHLO", _) if matches!(self.security, Security::StartTls(_)) && !is_encrypted => {
                    "250-test\r\n250 STARTTLS".to_owned()
                }
                ("EHLO", _) => "250-test\r\n250 8BITMIME".to_owned(),
                ("STAR", _) => {
                    let ready = stream.write_all(b"220 go ahead\r\n").await;
                    return (taken, ready.is_ok().then(|| stream.into_inner()));
                }
                ("MAIL", _) => {
                    from = between_brackets(rest);
                    "250 ok".to_owned()
                }
                ("RCPT", Mood::Refusing(refusal)) => refusal.to_owned(),
                ("RCPT", _) => {
                    to = between_brackets(rest);
                    "250 ok".to_owned()
                }
                ("DATA", _) => {
                    stream.write_all(b"354 go ahead\r\n").await.expect("the client waits");
                    let data = read_data(&mut stream).await;
                    let (from, to) = (from.clone(), to.clone());
                    let mail = Received { from, to, data, is_encrypted };
                    // The test may have ended.
                    let _ = self.received.send(mail);
                    taken = Some(());
                    "250 taken".to_owned()
                }
                ("QUIT", _) => {
                    // The client may have gone.
                    let _ = stream.write_all(b"221 bye\r\n").await;
                    return (taken, None);
                }
                _ => "502 not known here".to_owned(),
            });
        }
    }
}

fn between_brackets(text: &str) -> String {
    let (_, rest) = text.split_once('<').expect("an address");
    rest.split_once('>').expect("an address").0.to_owned()
}

/// Up to the dot that stands alone (RFC 5321 section 4.5.2).
async fn read_data(stream: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("text");
        if line == ".\r\n" {
            return data.replace("\r\n", "\n");
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
