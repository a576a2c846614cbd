//! The gateway, tested from outside: the real application, real databases,
//! nothing mocked but the clock.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod actions;
mod adherence;
mod anything;
mod attempts;
mod audit;
mod backups;
mod bodies;
mod bundles;
mod calendar_event_responses;
mod calendar_events;
mod check;
mod cleared_relationships;
mod clients;
mod command_line;
mod conditions;
mod contract;
mod cursors;
mod cut_connections;
mod database_in_use;
mod disk;
mod docs;
mod docs_in_a_browser;
mod documents;
mod email_histories;
mod errors;
mod examples;
mod failover;
mod group_scope;
mod groups;
mod health;
mod health_profiles;
mod idempotency;
mod identifiers;
mod killed;
mod limits;
mod limits_on_the_wire;
mod links;
mod lists;
mod metrics;
mod metrics_bulk;
mod migrations;
mod oauth;
mod oauth_errors;
mod paging;
mod patient_changes;
mod patient_faults;
mod patient_groups;
mod patients;
mod people;
mod plans;
mod postgresql_over_tls;
mod queries;
mod replica;
mod results;
mod reward_programs;
mod rewards;
mod scale_out;
mod seed_as_of;
mod seed_files;
mod serving;
mod slow_clients;
mod soak;
mod sorting;
mod strangers;
mod support;
mod tenancy;
mod tls;
mod tokens;
mod transport;
mod upsert;
mod wire;
