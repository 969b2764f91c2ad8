//! The answers that many routes share, as the description of the interface lists them.

use utoipa::IntoResponses;

use super::problem::ProblemBody;

/// What reading may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes")]
pub(crate) enum Refused {
    /// Not signed in.
    #[response(status = 401)]
    NotSignedIn(#[to_schema] ProblemBody),
    /// Your role does not allow it.
    #[response(status = 403)]
    NotAllowed(#[to_schema] ProblemBody),
    /// There is no such thing, or none that you may see.
    #[response(status = 404)]
    NotFound(#[to_schema] ProblemBody),
    /// A parameter is not right.
    #[response(status = 422)]
    Invalid(#[to_schema] ProblemBody),
}

/// What making something may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes")]
pub(crate) enum NotMade {
    /// The body is not JSON.
    #[response(status = 400)]
    Malformed(#[to_schema] ProblemBody),
    /// Not signed in.
    #[response(status = 401)]
    NotSignedIn(#[to_schema] ProblemBody),
    /// Your role does not allow it.
    #[response(status = 403)]
    NotAllowed(#[to_schema] ProblemBody),
    /// There is no such thing, or none that you may see.
    #[response(status = 404)]
    NotFound(#[to_schema] ProblemBody),
    /// It does not fit what is there.
    #[response(status = 409)]
    Conflict(#[to_schema] ProblemBody),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(#[to_schema] ProblemBody),
    /// The body is not marked as JSON.
    #[response(status = 415)]
    NotJson(#[to_schema] ProblemBody),
    /// Something in the body is not right; `errors` names it.
    #[response(status = 422)]
    Invalid(#[to_schema] ProblemBody),
}

/// What changing something may be answered with besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes")]
pub(crate) enum Stale {
    /// It was changed meanwhile.
    #[response(status = 412)]
    Changed(#[to_schema] ProblemBody),
    /// Say which version you change.
    #[response(status = 428)]
    WhichVersion(#[to_schema] ProblemBody),
}
