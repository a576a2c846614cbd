# What CI runs.
check:
    .ci/run

# The demo, as the README starts it.
demo *flags:
    cargo run --release -- demo {{flags}}

# All tests; those on PostgreSQL must not be skipped.
test *filter:
    REQUIRE_POSTGRES=1 cargo test {{filter}}

# Licences, sources and bans of the dependencies.
deny:
    cargo deny check

# Micro-benchmarks.
bench *filter:
    cargo bench {{filter}}

# Requests per second beside a bare handler; needs wrk.
load:
    bench/load

# How long requests take as measurements become many; needs wrk and 15 GB.
growth:
    bench/growth
