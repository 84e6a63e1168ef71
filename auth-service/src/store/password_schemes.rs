//! Column `users.password_scheme`: what the accounts' password hashes cost to verify.

use service_kit::{db::DbError, sql};

use super::Store;

/// A scheme that at least one account's password hash has.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordSchemeRow {
    /// The part of the hash that tells its cost.
    pub scheme: String,
    /// One such hash.
    pub sample: String,
}

impl Store {
    /// The first scheme after `after` that an account has, in the order of their names: one look
    /// into the index each, however many accounts there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn password_scheme_after(
        &self,
        after: &str,
    ) -> Result<Option<PasswordSchemeRow>, DbError> {
        let select = sql!(
            "SELECT password_scheme, password_hash FROM users WHERE password_scheme > ? \
             ORDER BY password_scheme LIMIT 1"
        );
        let row = self.db.read(select).bind(after).fetch_optional().await?;
        row.map(|row| {
            let sample = row.get("password_hash")?;
            Ok(PasswordSchemeRow { scheme: row.get("password_scheme")?, sample })
        })
        .transpose()
    }
}

#[cfg(test)]
mod tests {
    use service_kit::{Timestamp, on_each_database};

    use super::super::{MIGRATIONS, Maker, NewUserRow, Store};
    use crate::model::{Name, Role, Roles, Username};

    const HEX: &str = "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff";

    on_each_database! {
        async fn a_scheme_is_all_of_a_hash_before_its_salt_and_is_found_once(database) {
            let store = Store::new(database.open(MIGRATIONS).await);
            let hashes = [
                ("$2b$12", "$2b$12$b7tgGWRcBteYBSFTML0IvujaZEHcuUEcTI4k79Ji8lKp20IJmYdxW".to_owned()),
                ("$argon2id$v=19$m=19456,t=2,p=1",
                 "$argon2id$v=19$m=19456,t=2,p=1$eomvCY42PrbSGlMs0ybR6Q$pdi6tqza+ycU/jqt7".to_owned()),
                ("$scrypt$ln=15,r=8,p=1", "$scrypt$ln=15,r=8,p=1$MDEyMzQ1$NxbnER+jl98".to_owned()),
                ("pbkdf2:sha256:600000", format!("pbkdf2:sha256:600000$ttLwBtWoirmHb6FO${HEX}")),
                ("pbkdf2_sha256$600000", "pbkdf2_sha256$600000$s-a_l.t$rBnV5GYdBcHI2=".to_owned()),
                ("scrypt:32768:8:1", format!("scrypt:32768:8:1$KUitYWGbTQhJmAi6${HEX}{HEX}")),
                ("sha256", format!("sha256$qgTFOY5XRrn0nmna${HEX}")),
            ];
            // Two accounts each.
            for (number, (_, hash)) in hashes.iter().chain(&hashes).enumerate() {
                let username = Username::parse(&format!("user{number}")).expect("a username");
                let new = NewUserRow {
                    username: Some(&username),
                    email: None,
                    name: &Name::default(),
                    password_hash: hash,
                    maker: Maker::Operator,
                    roles: Roles::from_iter([Role::User]),
                    created_at: Timestamp::default(),
                    client_address: "",
                };
                store.insert_user(&new, None).await.expect("stored");
            }
            let (mut found, mut after) = (Vec::new(), String::new());
            while let Some(row) = store.password_scheme_after(&after).await.expect("read") {
                after.clone_from(&row.scheme);
                found.push((row.scheme, row.sample));
            }
            found.sort();
            let mut expected: Vec<_> =
                hashes.map(|(scheme, hash)| (scheme.to_owned(), hash)).into();
            expected.sort();
            assert_eq!(found, expected);
        }
    }
}
