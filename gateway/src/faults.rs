//! What is said of a fault of ours, where a document words it.

use axum::{middleware::map_response, response::Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::{Gateway, edge::after_panic, problem::Problem};

/// Says `text` of every fault of ours on `routes`: of a service's, of an answer that breaks the
/// contract, of a panic.
pub(crate) fn worded(routes: OpenApiRouter<Gateway>, text: &'static str) -> OpenApiRouter<Gateway> {
    let reword = move |mut response: Response| async move {
        if let Some(problem) = response.extensions_mut().get_mut::<Problem>() {
            problem.word_fault(text);
        }
        response
    };
    routes.layer(CatchPanicLayer::custom(after_panic)).layer(map_response(reword))
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{Body, to_bytes},
        extract::Request,
        routing::get,
    };
    use http::StatusCode;
    use serde_json::Value;
    use service_kit::channel::RpcChannel;
    use tower::ServiceExt;

    use super::*;
    use crate::{Config, edge};

    async fn message(path: &str) -> (u16, Value) {
        let (_, nowhere) = RpcChannel::in_process();
        let gateway = Gateway::new(Config::new(nowhere.clone(), nowhere));
        let routes = Router::new()
            .route("/panic", get(async || -> StatusCode { panic!("on purpose") }))
            .route("/fault", get(async || Problem::internal()))
            .route("/away", get(async || Problem::unavailable()));
        let (routes, _) = worded(routes.into(), "Registration failed").split_for_parts();
        let request = Request::get(path).header("host", "x").body(Body::empty());
        let Ok(response) =
            edge::around(routes, &gateway).oneshot(request.expect("a request")).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.expect("a body");
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(problem["message"], problem["error"]);
        (status, problem["message"].clone())
    }

    #[tokio::test]
    async fn a_panic_is_worded_as_any_fault_of_ours_and_nothing_else_is() {
        assert_eq!(message("/panic").await, (500, "Registration failed".into()));
        assert_eq!(message("/fault").await, (500, "Registration failed".into()));
        assert_ne!(message("/away").await, (503, "Registration failed".into()));
    }
}
