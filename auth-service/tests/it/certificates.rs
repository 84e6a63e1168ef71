//! What a test's mail server proves itself with.

use std::{path::Path, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};

/// A certificate of `localhost` that signs itself, written to `ca.pem` in `folder`.
pub fn acceptor(folder: &Path) -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let der = CertificateDer::from(cert.der().to_vec());
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    std::fs::write(folder.join("ca.pem"), pem(&der)).expect("written");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![der], key.into())
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
