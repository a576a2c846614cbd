//! A host for clients of the discontinued Twine (Fitbit Plus) public API.
//!
//! A request's way in: [`server`] listens, with [`tls`] or without; [`router`] finds the way in [`routes`], the one table of
//! operations; [`call`] reads the request and [`handlers`] has one function for
//! each verb, generic over the traits in [`resource`]. What a type is, what may
//! be said of it and how it is stored is its one file in [`resources`].
//!
//! What it meets there: [`conditions`] and [`idempotency`] are the headers by which
//! clients change things together and repeat themselves; [`loaded`] shows rows;
//! [`jsonapi`] knows documents and parameters and nothing of Twine; [`auth`] makes the [`auth::Scope`] that every query starts from;
//! [`oauth`] issues the tokens; [`db`] runs the queries on SQLite or
//! PostgreSQL. [`limits`] keeps one client from taking it all. [`error`] is the
//! way out when something is wrong.
//!
//! Beside it: [`cli`] and its [`config`], [`admin`] for what operators do, [`audit`] for who did what,
//! [`check`] for whether a store holds together, [`seed`] for fixtures and
//! [`demo`] for those that come along, [`docs`] and [`health`]. At the bottom: [`id`] and [`time`].
//!
//! ARCHITECTURE.md tells why it is so.

pub mod admin;
pub mod audit;
pub mod auth;
pub mod call;
pub mod check;
pub mod cli;
pub mod conditions;
pub mod config;
pub mod db;
pub mod demo;
pub mod docs;
pub mod error;
pub mod handlers;
pub mod health;
pub mod id;
pub mod idempotency;
pub mod jsonapi;
pub mod limits;
pub mod loaded;
pub mod oauth;
pub mod resource;
pub mod resources;
pub mod router;
pub mod routes;
pub mod seed;
pub mod server;
pub mod time;
pub mod tls;
