//! Reading a bulk import and writing a cursor: what happens outside of the
//! database. `cargo bench`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use retwine::db::SortKey;
use retwine::id::Id;
use retwine::jsonapi::cursor::Cursor;
use retwine::jsonapi::document::{ClientId, Shape, read_document};
use retwine::jsonapi::{Notes, Parameters};
use retwine::resource::{Create, Resource};
use retwine::resources::patient_health_metric::Metric;
use serde_json::json;

fn reading(bench: &mut Criterion) {
    let metric = json!({
        "type": "patient_health_metric",
        "attributes": {
            "type": "weight", "code": {"system": "LOINC", "value": "29463-7"}, "value": 81.5, "unit": "kg",
            "occurred_at": "2026-01-15T08:30:00Z",
        },
        "relationships": {"patient": {"data": {"type": "patient", "id": "65f0c1d2e3a4b5c6d7e8f901"}}},
    });
    let body = json!({ "data": vec![metric; 1000] }).to_string();
    let mut group = bench.benchmark_group("reading");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000 metrics", |bench| {
        bench.iter(|| {
            let notes = Notes::default();
            let shape = Shape { kind: Metric::TYPE, id: ClientId::Ignored, many: true };
            let (items, _) = read_document(body.as_bytes(), shape, &notes, Metric::options, Metric::read);
            assert!(!notes.has_faults());
            items.items.len()
        });
    });
    group.bench_function("1000 metrics as serde_json::Value", |bench| {
        bench.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&body)).is_ok());
    });
    group.finish();
}

fn parameters(bench: &mut Criterion) {
    let query =
        "filter%5Borganization%5D=65f0c1d2e3a4b5c6d7e8f901&page%5Bnumber%5D=3&page%5Bsize%5D=50&sort=-updated_at";
    bench.bench_function("decoding parameters", |bench| bench.iter(|| Parameters::parse(black_box(query))));
    let cursor = Cursor {
        values: Vec::new(),
        id: Id::parse("65f0c1d2e3a4b5c6d7e8f901").unwrap_or_else(|| unreachable!("a literal id")),
    };
    let list = "/pub/patient?filter[organization]=65f0c1d2e3a4b5c6d7e8f901";
    let order: [SortKey<Metric>; 0] = [];
    bench.bench_function("writing and reading a cursor", |bench| {
        bench.iter(|| Cursor::read(&cursor.write(list), list, &order).is_ok());
    });
}

criterion_group!(benches, reading, parameters);
criterion_main!(benches);
