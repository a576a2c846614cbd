//! The gateway, tested from outside: the real application, real databases,
//! nothing mocked but the clock.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

mod clients;
mod documents;
mod groups;
mod queries;
