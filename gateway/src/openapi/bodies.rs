//! The JSON bodies of requests. A member is described once, whichever body it is in. A test holds
//! the bodies against what the handlers read.

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{
            AllOfBuilder, AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
        },
    },
};

/// The members of a body: its name, and that under which [`describe`] knows it.
type Members = &'static [(&'static str, &'static str)];

/// The members that must be there, those that may, and the sets of which one must.
struct Body {
    description: &'static str,
    required: Members,
    optional: Members,
    either: &'static [Members],
}

/// Types for the annotations of routes; nothing is ever of such a type.
macro_rules! bodies {
    ($($(#[doc = $doc:literal])* $name:ident {
        required: [$($required:ident $(as $required_as:ident)?),*],
        optional: [$($optional:ident $(as $optional_as:ident)?),*],
        either: [$([$($either:ident $(as $either_as:ident)?),*]),*],
    })*) => {$(
        $(#[doc = $doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Body {
                    description: concat!($($doc),*),
                    required: &[$(described!($required $(as $required_as)?)),*],
                    optional: &[$(described!($optional $(as $optional_as)?)),*],
                    either: &[$(&[$(described!($either $(as $either_as)?)),*]),*],
                }
                .schema()
            }
        }

        impl ToSchema for $name {}
    )*};
}

macro_rules! described {
    ($name:ident) => {
        (stringify!($name), stringify!($name))
    };
    ($name:ident as $like:ident) => {
        (stringify!($name), stringify!($like))
    };
}

bodies! {
    /// No member is looked at.
    Nothing {
        required: [],
        optional: [],
        either: [],
    }
    /// An account to be made.
    Register {
        required: [username, email, password as new_password],
        optional: [],
        either: [],
    }
    /// Credentials.
    LoginByEmail {
        required: [email as identifier, password],
        optional: [],
        either: [],
    }
    /// An account to be made. A username with white space in it, beside an address, is a name.
    RegisterByEither {
        required: [password as new_password],
        optional: [name],
        either: [[email], [username]],
    }
    /// Credentials.
    LoginByEither {
        required: [password],
        optional: [],
        either: [[email as identifier], [username as identifier]],
    }
    /// A refresh token, where the header `Authorization` does not have it.
    Refresh {
        required: [],
        optional: [refresh_token],
        either: [],
    }
    /// What is to be changed. A new password wants the current one, but of an administrator.
    UpdateUser {
        required: [],
        optional: [
            username, email, name, role, disabled, password as new_password,
            current_password as password
        ],
        either: [],
    }
    /// Whose password was forgotten.
    ResetPassword {
        required: [email],
        optional: [],
        either: [],
    }
    /// The code that was mailed, and the new password.
    UpdatePassword {
        required: [email, otp, new_password],
        optional: [],
        either: [],
    }
    /// The name to display.
    UpdateProfile {
        required: [name as new_name],
        optional: [],
        either: [],
    }
    /// The password, so that a token alone does not suffice.
    DeleteAccount {
        required: [password],
        optional: [],
        either: [],
    }
    /// Both passwords.
    ChangePassword {
        required: [current_password as password, new_password],
        optional: [],
        either: [],
    }
    /// A training to be announced.
    CreateProgram {
        required: [title, sport, training_level, starts_at as time, ends_at as time],
        optional: [
            description, location, coach_id, time_zone, registration_opens_at as time,
            registration_closes_at as time, capacity
        ],
        either: [],
    }
    /// What is to be changed; null takes away what need not be there.
    UpdateProgram {
        required: [],
        optional: [
            title, sport, training_level, starts_at as time, ends_at as time, description,
            location, coach_id, time_zone, registration_opens_at as time,
            registration_closes_at as time, capacity, etag
        ],
        either: [],
    }
    /// The `etag` that was seen, where nobody may have changed the program since.
    CancelProgram {
        required: [],
        optional: [etag],
        either: [],
    }
    /// Whether a participant came; null takes back what was noted.
    SetAttendance {
        required: [attendance],
        optional: [],
        either: [],
    }
    /// A wish for training: a program, or what to train.
    CreateRegistration {
        required: [],
        optional: [],
        either: [[sport, training_level], [program_id]],
    }
}

/// Characters that a username may not have: white space and what is not seen.
const HANDLE: &str = r"^[^\s@\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+$";
/// Text in one line.
const NAME: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// Text in one line that shows something.
const LABEL: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// A member where it must be there.
fn describe(member: &str) -> ObjectBuilder {
    let text = |description: &str, chars_max| {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        text.max_length(Some(chars_max)).description(Some(description))
    };
    match member {
        "username" => text("The handle, unique without regard to case.", 64)
            .pattern(Some(HANDLE))
            .examples(["newuser"]),
        "email" => text("An address, unique without regard to case.", 254)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .examples(["user@example.com"]),
        "identifier" => text("The address of the account.", 254).examples(["user@example.com"]),
        "password" => {
            text("The password: at most 1024 bytes.", 1024).examples(["securepassword123"])
        }
        "new_password" => {
            text("At least 8 characters (or as configured), at most 1024 bytes.", 1024)
                .min_length(Some(8))
                .examples(["securepassword123"])
        }
        "sport" => text("What to train.", 100).pattern(Some(LABEL)).examples(["cricket"]),
        "training_level" => {
            text("How well it is known.", 100).pattern(Some(LABEL)).examples(["intermediate"])
        }
        "name" => text("The name to display.", 100).pattern(Some(NAME)).examples(["John Doe"]),
        // Null and the empty text take it away.
        "new_name" => describe("name")
            .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
            .min_length(None),
        "role" => ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["user", "coach", "admin"]))
            .description(Some("In place of all that the account has."))
            .examples(["coach"]),
        "disabled" => ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some("Keeps the account from signing in, and ends its sessions."))
            .examples([false]),
        "refresh_token" => text("That of the last login or refresh.", 1024).examples(["..."]),
        "otp" => ObjectBuilder::new()
            .schema_type(SchemaType::Array(vec![Type::String, Type::Integer]))
            .minimum(Some(100_000))
            .maximum(Some(999_999))
            .pattern(Some("^[0-9]{6}$"))
            .description(Some("The code that was mailed."))
            .examples([123_456]),
        "title" => text("What it is called.", 200).pattern(Some(LABEL)).examples(["Nets"]),
        "description" => text("More about it.", 5000).examples(["Bring your own bat."]),
        "location" => text("Where it is.", 200).pattern(Some(NAME)).examples(["Main ground"]),
        "time" => ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339."))
            .examples(["2030-01-31T12:00:00Z"]),
        "time_zone" => text("Of the IANA database; else UTC.", 64).examples(["Europe/Berlin"]),
        "coach_id" => integer("The account of who leads it.").examples([1]),
        "capacity" => integer("How many seats there are; 0 and null: any number.")
            .maximum(Some(1_000_000))
            .examples([20]),
        // No limit: one of any other length is one that the program does not have.
        "etag" => ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("If given, the program must still be the one with this `etag`."))
            .examples(["..."]),
        "attendance" => ObjectBuilder::new()
            .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
            .enum_values(Some([json!("present"), json!("absent"), json!("excused"), json!(null)]))
            .description(Some("`excused` is who did not come, or will not, and said why."))
            .examples(["present"]),
        "program_id" => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .examples([1])
            .description(Some("The program, which says what is trained.")),
        _ => ObjectBuilder::new(),
    }
}

/// An integer from 0 on.
fn integer(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .description(Some(description))
}

/// A member that may be there, and may be null, which is the same as absent.
fn describe_optional(member: &str) -> Schema {
    let mut schema = describe(member).build();
    if let SchemaType::Type(kind) = &schema.schema_type {
        schema.schema_type = SchemaType::Array(vec![kind.clone(), Type::Null]);
    }
    schema.min_length = None;
    Schema::Object(schema)
}

impl Body {
    fn schema(&self) -> RefOr<Schema> {
        let mut object = ObjectBuilder::new().schema_type(Type::Object);
        let mut example = Map::new();
        for (name, like) in self.required.iter().chain(self.either.first().copied().unwrap_or(&[]))
        {
            let shown = describe(like).build().examples.swap_remove(0);
            example.insert((*name).to_owned(), shown);
        }
        for (name, like) in self.required {
            object = object.property(*name, describe(like)).required(*name);
        }
        for (name, like) in self.optional {
            object = object.property(*name, describe_optional(like));
        }
        let description = Some(self.description.trim());
        let example = Value::from(example);
        if self.either.is_empty() {
            return object.description(description).examples([example]).into();
        }
        // Beside the members that count, the others only have to be of their type.
        let mut any = AnyOfBuilder::new();
        for set in self.either {
            let mut one = ObjectBuilder::new().schema_type(Type::Object);
            for (name, like) in *set {
                let kind = describe(like).build().schema_type;
                let SchemaType::Type(kind) = kind else { continue };
                let loose = SchemaType::Array(vec![kind, Type::Null]);
                object = object.property(*name, ObjectBuilder::new().schema_type(loose));
                one = one.property(*name, describe(like)).required(*name);
            }
            any = any.item(one);
        }
        AllOfBuilder::new()
            .item(object)
            .item(any)
            .description(description)
            .examples([example])
            .into()
    }
}
