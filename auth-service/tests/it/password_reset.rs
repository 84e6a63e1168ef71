//! RequestPasswordReset and ResetPassword.

use proto::auth::v1::{
    LoginRequest, RequestPasswordResetRequest, RequestPasswordResetResponse, ResetPasswordRequest,
    ValidateTokenRequest,
};
use service_kit::{
    on_each_database,
    rejection::Rejection,
    testing::{ManualClock, TestDatabase, smtp::MailServer},
};
use tonic::{Code, Status};

use crate::service::{PASSWORD, Service, config, refusal, violations};

const ANN: &str = "ann@example.com";
const NEW_PASSWORD: &str = "correct horse battery staple";

impl Service {
    /// Sends mail through `server`.
    pub async fn start_mailing(database: &TestDatabase, server: &MailServer) -> Self {
        let clock = ManualClock::default();
        Self::start_mailing_at(database, server.url("smtp", ""), clock).await
    }

    pub async fn start_mailing_at(
        database: &TestDatabase,
        smtp_url: String,
        clock: ManualClock,
    ) -> Self {
        let mut config = config(database, &clock);
        config.mail.smtp_url = Some(smtp_url);
        Self::start_with(config, clock).await
    }

    pub async fn ask_for_code(&self, email: &str) -> Result<RequestPasswordResetResponse, Status> {
        let request = RequestPasswordResetRequest {
            email: email.to_owned(),
            ..RequestPasswordResetRequest::default()
        };
        Ok(self.auth().request_password_reset(request).await?.into_inner())
    }

    pub async fn reset_password(&self, email: &str, otp: &str) -> Result<(), Status> {
        let request = ResetPasswordRequest {
            email: email.to_owned(),
            otp: otp.to_owned(),
            new_password: NEW_PASSWORD.to_owned(),
        };
        self.auth().reset_password(request).await.map(drop)
    }
}

on_each_database! {
    async fn a_forgotten_password_is_replaced_by_the_code_that_was_mailed(database) {
        let mut server = MailServer::start().await;
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", "Ann@Example.com").await.expect("registered");
        let sessions = [
            service.login("ann", PASSWORD).await.expect("signed in"),
            service.login("ann", PASSWORD).await.expect("signed in"),
        ];
        service.ask_for_code("ann@EXAMPLE.com").await.expect("taken");
        let mail = server.next().await;
        assert_eq!((&*mail.from, &*mail.to), ("no-reply@localhost", "Ann@Example.com"));
        assert_eq!(mail.header("Subject"), "Your code to reset your password");
        let code = mail.code();
        assert!(code.len() == 6 && !code.starts_with('0'), "{code}");

        service.reset_password(ANN, &code).await.expect("reset");
        let old = refusal(service.login("ann", PASSWORD).await);
        assert_eq!(old, (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned()));
        service.login("ann", NEW_PASSWORD).await.expect("the new password");
        for tokens in sessions {
            let request = ValidateTokenRequest { access_token: tokens.access_token };
            let answer = service.auth().validate_token(request).await.expect("an answer");
            assert!(!answer.into_inner().active, "the session was ended");
        }
        let again = refusal(service.reset_password(ANN, &code).await);
        assert_eq!(again, (Code::FailedPrecondition, "OTP_INVALID".to_owned()));
    }

    async fn whoever_has_reset_the_password_is_no_stranger(database) {
        let mut server = MailServer::start().await;
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        service.ask_for_code(ANN).await.expect("taken");
        let request = ResetPasswordRequest {
            email: ANN.to_owned(),
            otp: server.next().await.code(),
            new_password: NEW_PASSWORD.to_owned(),
        };
        let answer = service.auth().reset_password(request).await.expect("reset").into_inner();
        for _ in 0..5 {
            service.login(ANN, "a guess").await.expect_err("wrong");
        }
        let log_in = async |device_token: &str| {
            let request = LoginRequest {
                identifier: ANN.to_owned(),
                password: NEW_PASSWORD.to_owned(),
                device_token: device_token.to_owned(),
            };
            service.auth().login(request).await
        };
        assert_eq!(refusal(log_in("").await).1, "ACCOUNT_LOCKED");
        log_in(&answer.device_token).await.expect("locked for strangers alone");
    }

    async fn an_unknown_address_is_answered_alike_and_gets_no_mail(database) {
        let mut server = MailServer::start().await;
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        service.register("bob", "bob@example.com").await.expect("registered");
        for _ in 0..5 {
            let unknown = service.ask_for_code("nobody@example.com").await.expect("taken");
            assert_eq!(unknown, service.ask_for_code(ANN).await.expect("taken"));
        }
        for _ in 0..5 {
            assert_eq!(server.next().await.to, ANN);
        }
        let throttled = async |email: &str| {
            Rejection::from(&service.ask_for_code(email).await.expect_err("the sixth"))
        };
        let unknown = throttled("nobody@example.com").await;
        assert_eq!((unknown.code, &*unknown.reason), (Code::ResourceExhausted, "TOO_MANY_REQUESTS"));
        assert_eq!(unknown.retry_after, Some(std::time::Duration::from_hours(1)));
        assert_eq!(unknown, throttled(ANN).await);
        let wrong = async |email: &str| {
            Rejection::from(&service.reset_password(email, "000000").await.expect_err("wrong"))
        };
        assert_eq!(wrong("nobody@example.com").await, wrong(ANN).await);
        service.ask_for_code("bob@example.com").await.expect("taken");
        assert_eq!(server.next().await.to, "bob@example.com", "and none to nobody");
    }

    async fn a_known_device_gets_a_code_when_strangers_have_asked_for_too_many(database) {
        let mut server = MailServer::start().await;
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        let request = LoginRequest {
            identifier: "ann".to_owned(),
            password: PASSWORD.to_owned(),
            ..LoginRequest::default()
        };
        let device_token =
            service.auth().login(request).await.expect("signed in").into_inner().device_token;
        for _ in 0..5 {
            service.ask_for_code(ANN).await.expect("taken");
            server.next().await;
        }
        let throttled = (Code::ResourceExhausted, "TOO_MANY_REQUESTS".to_owned());
        assert_eq!(refusal(service.ask_for_code(ANN).await), throttled);
        let request = RequestPasswordResetRequest { email: ANN.to_owned(), device_token };
        service.auth().request_password_reset(request).await.expect("taken");
        service.reset_password(ANN, &server.next().await.code()).await.expect("reset");
    }

    async fn only_the_newest_code_works_and_wrong_ones_use_it_up(database) {
        let mut server = MailServer::start().await;
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        let mut codes = Vec::new();
        for _ in 0..2 {
            service.ask_for_code(ANN).await.expect("taken");
            codes.push(server.next().await.code());
        }
        let invalid = (Code::FailedPrecondition, "OTP_INVALID".to_owned());
        for guess in [&*codes[0], "000000", "12345", "1234567", "otp"] {
            assert_eq!(refusal(service.reset_password(ANN, guess).await), invalid, "{guess}");
        }
        assert_eq!(refusal(service.reset_password(ANN, &codes[1]).await), invalid, "the sixth");
        service.login("ann", PASSWORD).await.expect("the password is as it was");
    }

    async fn every_violation_of_a_reset_is_told_at_once(database) {
        let service = Service::start(&database).await;
        let nothing = service.auth().reset_password(ResetPasswordRequest::default()).await;
        let expected = ["email: REQUIRED", "otp: REQUIRED", "new_password: REQUIRED"];
        assert_eq!(violations(nothing), expected);
        let request = ResetPasswordRequest {
            email: "nobody".to_owned(),
            otp: "1".repeat(65),
            new_password: "short".to_owned(),
        };
        let bad = service.auth().reset_password(request).await;
        let expected = ["email: INVALID_FORMAT", "otp: TOO_LONG", "new_password: TOO_SHORT"];
        assert_eq!(violations(bad), expected);
        assert_eq!(violations(service.ask_for_code("").await), ["email: REQUIRED"]);
        assert_eq!(violations(service.ask_for_code("\0").await), ["email: INVALID_FORMAT"]);
    }
}
