//! Hashes with known passwords, as the libraries made them.

use super::{stored::UnusableHash, *};

/// The least that argon2 takes: what is tested is not the cost.
const CHEAP: Settings =
    Settings { argon2_memory_kib: 8, argon2_iterations: 1, argon2_parallelism: 1 };

const PASSWORD: &str = "pässwörd-☃-密码";

/// Made by Python's hashlib and hmac, in the notations that the file has no sample of.
const MORE: [&str; 5] = [
    "pbkdf2_sha256$600000$mZ2pXk4bQw1s9TtYcVn8Ra$rBnV5GYdBcHI2MiKm2DBTKWdKxzq8oj1DkmseuVyUQ8=",
    "pbkdf2_sha1$180000$mZ2pXk4bQw1s$KJ7tIMj9v4VY3P/Lq1ASqm+Htbg=",
    "$scrypt$ln=15,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$NxbnER+jl98DKolpNhbpwD+zIjWByhlK+Otyk3RNiXg",
    "sha1$saltSALT$c3953208243d0e98e4da24a0de549b9550812fa8",
    "sha512$saltSALT$9ba3163d1b862cc736e9cc1a1d1a546c320f1f35192ae0d533632f497a1a8c60\
     a8d399b1a24f0c00ae4ca2665f70a988e6a197c436672ba22982249c43d4084c",
];

/// Pairs of a password and its hash.
fn samples() -> Vec<(String, String)> {
    let file = include_str!("../../tests/fixtures/password-hashes.json");
    let file: serde_json::Value = serde_json::from_str(file).expect("JSON");
    let text = |one: &serde_json::Value, key: &str| one[key].as_str().expect("a text").to_owned();
    let hashes = file["hashes"].as_array().expect("a list").iter();
    let mut samples: Vec<_> =
        hashes.map(|one| (text(one, "password"), text(one, "stored"))).collect();
    samples.extend(MORE.map(|hash| (PASSWORD.to_owned(), hash.to_owned())));
    let bcrypt = samples.iter().find(|(_, hash)| hash.starts_with("$2b$10$")).expect("a sample");
    samples.push((bcrypt.0.clone(), bcrypt.1.replace("$2b$", "$2y$")));
    samples
}

fn password(text: &str) -> Password {
    Password::parse("password", text).expect("a password")
}

fn pool() -> Passwords {
    Passwords::start(&CHEAP, &Entropy::system()).expect("started")
}

#[tokio::test]
async fn every_library_s_hash_knows_its_password_and_no_other() {
    let passwords = pool();
    let samples = samples();
    assert!(samples.len() > 40, "all of the file");
    let verifying = samples.iter().map(|(right, hash)| {
        let passwords = &passwords;
        async move {
            // What bcrypt would not see at the end of a long one, it sees at the beginning.
            let wrong = format!("?{right}");
            for (text, matches) in [(right, true), (&wrong, false)] {
                let stored = Some(hash.clone());
                let verified = passwords.verify(password(text), stored).await.expect("verified");
                assert_eq!(verified.matches, matches, "{hash}");
                assert!(verified.needs_rehash, "{hash}");
            }
        }
    });
    futures_util::future::join_all(verifying).await;
}

#[tokio::test]
async fn bcrypt_ignores_what_the_library_ignored() {
    let passwords = pool();
    let file = include_str!("../../tests/fixtures/password-hashes.json");
    assert!(file.contains("BCRYPT_HANDLE_LONG_PASSWORDS"), "and not only the short ones");
    // crypt_blowfish's own test vector: 72 bytes, and whatever follows.
    let hash = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    let seen = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (text, matches) in [
        (format!("{seen}chars after 72 are ignored"), true),
        (seen.to_owned(), true),
        (seen[1..].to_owned(), false),
    ] {
        let stored = Some(hash.to_owned());
        let verified = passwords.verify(password(&text), stored).await.expect("verified");
        assert_eq!(verified.matches, matches, "{text}");
    }
}

#[tokio::test]
async fn a_password_matches_as_it_was_typed_too_and_is_then_hashed_in_nfc() {
    let passwords = pool();
    let typed = "Cafe\u{301}-Cre\u{300}me";
    // Over the decomposed form, as a program makes it that does not normalise.
    let stored = "sha256$saltSALT$5215c758255b7b06960c762744f13dac47ad694a0129057635e3ec8d40268350";
    let stored = Some(stored.to_owned());
    let verified = passwords.verify(password(typed), stored).await.expect("verified");
    assert!(verified.matches && verified.needs_rehash);

    let own = passwords.hash(password(typed)).await.expect("hashed");
    for text in [typed, "Caf\u{e9}-Cr\u{e8}me"] {
        let own = Some(own.clone());
        let verified = passwords.verify(password(text), own).await.expect("verified");
        assert!(verified.matches && !verified.needs_rehash, "{text}");
    }
}

#[test]
fn a_hash_that_asks_for_too_much_is_refused_unread() {
    let hex = "00".repeat(64);
    for hash in [
        format!("scrypt:1048576:8:1$salt${hex}"),
        format!("scrypt:32768:8:64$salt${hex}"),
        format!("scrypt:2:4294967295:1$salt${hex}"),
        format!("scrypt:2147483648:4294967295:4294967295$salt${hex}"),
        format!("scrypt:99999999999:8:1$salt${hex}"),
        "$scrypt$ln=63,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$scrypt$ln=99,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        format!("pbkdf2:sha512:10000001$salt${hex}"),
        "$2b$31$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui".to_owned(),
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$argon2id$v=19$m=19456,t=4294967295,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        assert_eq!(StoredHash::parse(&hash).err(), Some(UnusableHash::TooCostly), "{hash}");
    }
}

#[test]
fn a_damaged_hash_is_refused_and_never_a_match() {
    for (_, hash) in samples() {
        // The last 32 bytes of a PHC string may well be fewer: 16 are 22 characters of 43.
        let may_be_shorter = if hash.contains("$argon2") || hash.contains("$ln=") { 21 } else { 0 };
        for at in 1..hash.len() - may_be_shorter {
            assert!(StoredHash::parse(&hash[..at]).is_err(), "{hash} cut at {at}");
        }
        assert!(StoredHash::parse(&format!("{hash}$")).is_err(), "{hash} with a tail");
        assert!(StoredHash::parse(&hash.replace('$', "☃")).is_err(), "{hash} with snowmen");
    }
    let hex = "00".repeat(32);
    for hash in [
        String::new(),
        "$".repeat(5),
        "x".repeat(100_000),
        "securepassword123".to_owned(),
        format!("plain$${hex}"),
        format!("sha256$${hex}"),
        format!("sha256$sält${hex}"),
        format!("sha256$a b${hex}"),
        format!("sha256$salt${}", "0g".repeat(32)),
        format!("sha256$salt${}", "☃".repeat(32)),
        "sha256$salt$".to_owned(),
        format!("pbkdf2:sha256:0$salt${hex}"),
        format!("pbkdf2:sha256:-1$salt${hex}"),
        format!("pbkdf2:sha256:+1$salt${hex}"),
        format!("pbkdf2:md5:1000$salt${hex}"),
        format!("scrypt:0:8:1$salt${hex}"),
        format!("scrypt:3:8:1$salt${hex}"),
        format!("scrypt:1:8:1$salt${hex}"),
        format!("scrypt:32768:8:1$salt${}", "00".repeat(8)),
        "pbkdf2_sha256$1000$salt$AAAA".to_owned(),
        "$2x$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui".to_owned(),
        "$2b$03$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui".to_owned(),
        "$2b$+5$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1$$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAA".to_owned(),
    ] {
        assert!(StoredHash::parse(&hash).is_err(), "{hash}");
    }
}
