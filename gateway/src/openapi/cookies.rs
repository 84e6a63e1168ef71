//! The cookies that routes read.

use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterBuilder, ParameterIn},
};

use super::text;

/// The cookie `device`, of a route that asks for a password or for a code.
pub(crate) enum Device {}

impl IntoParams for Device {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "Set by an earlier login: what other people do with the account's names \
                           does not keep this device out.";
        let device = ParameterBuilder::new()
            .name("device")
            .parameter_in(ParameterIn::Cookie)
            .description(Some(description))
            .schema(Some(text()));
        vec![device.build()]
    }
}
