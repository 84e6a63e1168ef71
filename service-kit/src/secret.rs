//! The secret key: 32 bytes that encrypt what is stored and authenticate what is handed out.
//!
//! Nothing uses the key itself: each purpose has a key of its own, derived by
//! HKDF-SHA256 (RFC 5869) under a label.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use zeroize::{Zeroize, Zeroizing};

use crate::{Entropy, StartError};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Where the secret key comes from.
#[derive(Args, Clone)]
#[group(skip)]
pub struct Settings {
    /// 32 bytes in base64: encrypts signing keys and mails at rest, keys refresh tokens and codes.
    #[arg(
        long,
        env = "SECRET_KEY",
        value_name = "SECRET_KEY",
        hide_env_values = true,
        conflicts_with = "secret_key_file"
    )]
    pub secret_key: Option<String>,

    /// A file that holds it. Default: secret.key in DATA_DIR, made at first start
    #[arg(long, env = "SECRET_KEY_FILE", value_name = "SECRET_KEY_FILE")]
    pub secret_key_file: Option<PathBuf>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = &self.secret_key_file;
        f.debug_struct("Settings").field("secret_key_file", file).finish_non_exhaustive()
    }
}

/// The secret key. Neither its `Debug` nor any error shows it.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

/// What was to be opened was sealed under another key or for another purpose, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed under another secret key, or damaged")]
pub struct CannotOpen;

impl SecretKey {
    /// The key that `settings` name; where they name none, the one in `secret.key` under
    /// `data_dir`, made (with mode 0600) if it is not there.
    ///
    /// # Errors
    /// Names `SECRET_KEY` or `SECRET_KEY_FILE` where the key cannot be read, made or decoded.
    pub fn load(
        settings: &Settings,
        data_dir: &Path,
        entropy: &Entropy,
    ) -> Result<Self, StartError> {
        if let Some(text) = &settings.secret_key {
            return Self::decode("SECRET_KEY", text);
        }
        let variable = "SECRET_KEY_FILE";
        let default = data_dir.join("secret.key");
        let path = settings.secret_key_file.as_ref().unwrap_or(&default);
        let failed = |error: io::Error| {
            StartError::setting(variable, format!("{}: {error}", path.display()))
        };
        if settings.secret_key_file.is_none() && !path.try_exists().map_err(failed)? {
            create(path, entropy).map_err(failed)?;
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        Self::decode(variable, &text)
    }

    /// A key of the given bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn decode(variable: &'static str, text: &str) -> Result<Self, StartError> {
        let wrong = || {
            StartError::setting(variable, "not 32 bytes in base64 (try `openssl rand -base64 32`)")
        };
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).map_err(|_| wrong())?);
        Ok(Self::from_bytes(bytes.as_slice().try_into().map_err(|_| wrong())?))
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                KEY_BYTES
            }
        }
        let mut key = [0; KEY_BYTES];
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"pavilion").extract(self.0.as_slice());
        #[expect(clippy::expect_used, reason = "fails only for a length over 255 hashes")]
        extracted
            .expand(&[purpose.as_bytes()], Length)
            .and_then(|okm| okm.fill(&mut key))
            .expect("32 bytes are a valid length");
        key
    }

    /// Encrypts `plaintext` with AES-256-GCM under the key for `purpose`; `context` must be the
    /// same when it is opened.
    ///
    /// # Errors
    /// Where the cipher fails, which only a plaintext of gigabytes makes it do.
    pub fn seal(
        &self,
        purpose: &str,
        context: &str,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CannotOpen> {
        let mut sealed = plaintext.to_vec();
        let aad = Aad::from(context.as_bytes());
        let nonce = self
            .cipher(purpose)?
            .seal_in_place_append_tag(aad, &mut sealed)
            .map_err(|_| CannotOpen)?;
        sealed.splice(..0, nonce.as_ref().iter().copied());
        Ok(sealed)
    }

    /// Decrypts what [`SecretKey::seal`] made.
    ///
    /// # Errors
    /// Where the key, the purpose or the context is another one, or a bit has changed.
    pub fn open(
        &self,
        purpose: &str,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .cipher(purpose)?
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| CannotOpen)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn cipher(&self, purpose: &str) -> Result<RandomizedNonceKey, CannotOpen> {
        let mut key = self.derive(purpose);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| CannotOpen);
        key.zeroize();
        cipher
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

/// Writes a new key so that no other process ever reads half of one: whole under another name,
/// then linked to the name that counts. Whoever links second uses the first one's key.
fn create(path: &Path, entropy: &Entropy) -> io::Result<()> {
    let text = Zeroizing::new(BASE64_STANDARD.encode(Zeroizing::new(entropy.bytes::<KEY_BYTES>())));
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_purpose_and_context() {
        let key = SecretKey::from_bytes([1; KEY_BYTES]);
        let sealed = key.seal("signing-key", "kid-1", b"private").expect("sealed");
        assert_eq!(*key.open("signing-key", "kid-1", &sealed).expect("opened"), b"private");
        let other = SecretKey::from_bytes([2; KEY_BYTES]);
        assert!(other.open("signing-key", "kid-1", &sealed).is_err());
        assert!(key.open("refresh-token", "kid-1", &sealed).is_err());
        assert!(key.open("signing-key", "kid-2", &sealed).is_err());
        assert!(key.open("signing-key", "kid-1", b"short").is_err());
    }

    #[test]
    fn refuses_a_key_of_another_length() {
        let error = SecretKey::decode("SECRET_KEY", "c2hvcnQ=").expect_err("five bytes");
        assert!(error.to_string().starts_with("SECRET_KEY: not 32 bytes"), "{error}");
    }
}
