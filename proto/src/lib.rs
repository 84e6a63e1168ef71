//! The gRPC contract of Pavilion.
//!
//! One module for each proto package, generated from `proto/auth/v1/*.proto`
//! and `proto/training/v1/*.proto`, whose comments are the reference, and the
//! descriptor set that the services hand to their reflection service.

/// The descriptors of both packages and what they import, encoded as a
/// `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// The paths of the unary methods without side effects, in order.
const READS: &[&str] = include!(concat!(env!("OUT_DIR"), "/reads.rs"));

/// Whether the method at `path`, as in `/package.Service/Method`, has no side effects
/// (`idempotency_level = NO_SIDE_EFFECTS`) and one message for an answer: whether a call can be
/// repeated until that has come.
pub fn is_read(path: &str) -> bool {
    READS.binary_search(&path).is_ok()
}

/// Package `auth`.
pub mod auth {
    /// Package `auth.v1`, served by auth-service.
    #[expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::pedantic,
        unused_qualifications,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("auth.v1");
    }
}

/// Package `training`.
pub mod training {
    /// Package `training.v1`, served by training-service.
    #[expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::pedantic,
        unused_qualifications,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("training.v1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_methods_without_side_effects() {
        assert!(is_read("/training.v1.RegistrationService/ListRegistrations"));
        assert!(is_read("/auth.v1.AuthService/GetJwks"));
        for write in ["/auth.v1.AuthService/RefreshToken", "/auth.v1.AuthService/Login", "", "/"] {
            assert!(!is_read(write), "{write}");
        }
        assert!(!is_read("/auth.v1.AuthService/WatchRevocations"), "its answer has no end");
    }
}
