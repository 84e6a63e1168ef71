//! A session that ends at auth-service has ended at training-service.

use proto::{
    auth::v1::{LogoutRequest, auth_service_client::AuthServiceClient},
    training::v1::{
        ListRegistrationsRequest, registration_service_client::RegistrationServiceClient,
    },
};
use service_kit::rejection::Rejection;

use crate::{
    grpc::by,
    journey::{log_in, travel},
    program::{Home, channel, eventually},
};

#[tokio::test]
async fn a_logout_is_heeded_by_training_service() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let token = travel(&http).await;
    let [other, _] = log_in(&http).await;

    let mut auth = AuthServiceClient::new(channel(pavilion.auth));
    auth.logout(by(&token, LogoutRequest::default())).await.expect("ended");

    let mut training = RegistrationServiceClient::new(channel(pavilion.training));
    let refused = eventually("the token is refused", async || {
        let request = by(&token, ListRegistrationsRequest::default());
        training.list_registrations(request).await.err()
    });
    assert_eq!(Rejection::from(&refused.await).reason, "TOKEN_REVOKED");
    let answer = http.get("/registrations", &token).await;
    answer.assert_refused("TOKEN_REVOKED", "Token has been revoked");
    assert_eq!(http.get("/registrations", &other).await.status, 200, "another session goes on");
}
