//! The documents, held against the truth.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use retwine::cli::Cli;
use retwine::demo;

use crate::support::operations;

const README: &str = include_str!("../../README.md");
const COMPATIBILITY: &str = include_str!("../../COMPATIBILITY.md");

#[test]
fn the_readme_lists_every_setting_with_its_variable_and_default() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let settings: Vec<_> =
        command.get_arguments().chain(serve.get_arguments()).filter(|setting| setting.get_env().is_some()).collect();
    for setting in &settings {
        let flag = setting.get_long().unwrap();
        let variable = setting.get_env().unwrap().to_str().unwrap();
        let default = match setting.get_default_values().first() {
            Some(default) => format!("`{}`", default.to_str().unwrap()),
            None if flag == "workers" => "one per processor, with PostgreSQL four".to_owned(),
            None if flag == "audit-reads" => "`true`; of `demo`, `false`".to_owned(),
            None => "none".to_owned(),
        };
        let row = format!("| `--{flag}` | `{variable}` | {default} |");
        assert!(README.contains(&row), "README.md lacks the row {row}");
    }
    let rows = README.lines().filter(|line| line.starts_with("| `--")).count();
    assert_eq!(rows, settings.len(), "README.md has rows for settings that are not there");
}

#[test]
fn the_readme_shows_the_demos_credentials_and_first_request() {
    let credentials = demo::credentials().unwrap();
    let welcome = demo::welcome("http://127.0.0.1:8080", true, &credentials);
    for line in welcome.lines().filter(|line| line.starts_with("TOKEN=") || line.starts_with("curl")) {
        assert!(README.contains(line), "README.md lacks the line {line}");
    }
    for credentials in credentials {
        for value in [credentials.organization, credentials.group, credentials.client_id, credentials.client_secret] {
            assert!(README.contains(&value), "README.md lacks {value}");
        }
    }
}

#[test]
fn every_operation_has_its_row_in_the_table_of_compatibility() {
    for operation in operations() {
        let row = format!("| `{}` {} {} |", operation.id, operation.method, operation.path);
        assert!(COMPATIBILITY.contains(&row), "COMPATIBILITY.md lacks the row {row}");
    }
    let rows = COMPATIBILITY.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, operations().len(), "COMPATIBILITY.md has rows for operations that are not there");
}

#[test]
fn every_quirk_of_the_code_has_its_line_in_compatibility() {
    let mut marked = BTreeMap::new();
    count_quirks(Path::new("src"), &mut marked);
    let (_, section) = COMPATIBILITY.split_once("\n## Quirks\n").expect("COMPATIBILITY.md lists the quirks");
    let mut listed = BTreeMap::new();
    for line in section.split("\n- ").skip(1) {
        let file = line.trim_end().strip_suffix("`)").and_then(|line| line.rsplit_once("(`"));
        let (_, file) =
            file.unwrap_or_else(|| panic!("a quirk's line ends with its file, as in (`src/id.rs`): {line}"));
        *listed.entry(file.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(marked, listed, "`// Quirk:` in the code, by file, and the lines in COMPATIBILITY.md");
}

/// Counts the comments that begin with `Quirk:`, by file.
fn count_quirks(folder: &Path, counts: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            count_quirks(&path, counts);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
        let quirks = comments.filter(|comment| comment.trim_start_matches(['/', '!']).starts_with(" Quirk:")).count();
        if quirks > 0 {
            counts.insert(path.display().to_string(), quirks);
        }
    }
}
