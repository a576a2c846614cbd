//! Clients of every kind at once, for some seconds; `bench/soak` does it for half an
//! hour.

#[expect(dead_code, reason = "it is a program, too")]
#[path = "../../examples/soak.rs"]
mod client;

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::each;

const ORGANIZATION: &str = "63dab3ff741e089d927ad216";
const GROUP: &str = "63e1356a741e089d927ad217";
const PATIENTS: [&str; 3] = ["64062e37741e089d927ad224", "6409ea55741e089d927ad227", "66d9fb297458db2ebf7ad248"];

#[test]
fn what_everybody_at_once_was_told_is_stored_and_nobody_is_answered_otherwise_than_expected() {
    for database in each() {
        let server = Server::start(&Operator::of(&database), &["serve", "--bind", "127.0.0.1:0"]);
        let bearer = server.authorization();
        let token = bearer.trim().rsplit(' ').next().unwrap();
        let (base, process) = (server.address().to_string(), server.id().to_string());
        let arguments = [&base, token, ORGANIZATION, GROUP, &process, "4", "100"].into_iter().chain(PATIENTS);
        let surprises = client::run(&arguments.map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(surprises.unwrap(), 0);
    }
}
