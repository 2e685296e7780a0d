//! axum's extractors, with their refusals as JSON.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::shifts::failure::Failure;

/// What is in the path.
pub(super) struct InPath<T>(pub(super) T);

/// What is behind the question mark.
pub(super) struct InQuery<T>(pub(super) T);

/// What is in the body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(found)) => Ok(Self(found)),
            Err(refused) => Err(Failure::new(refused.status(), refused.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(found)) => Ok(Self(found)),
            Err(refused) => Err(Failure::new(refused.status(), refused.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            // axum tells JSON that is none (400) from JSON that does not fit (422); for a caller
            // both are a body to be written otherwise.
            Err(refused) if refused.status().as_u16() == 422 => {
                Err(Failure::wrong(refused.body_text()))
            }
            Err(refused) => Err(Failure::new(refused.status(), refused.body_text())),
        }
    }
}
