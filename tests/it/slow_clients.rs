//! Clients that take their time, on real connections: heads that arrive byte by
//! byte, answers that nobody reads. All others are served meanwhile.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::each;

/// Almost half a megabyte, and nothing to do for it.
const LARGE: &str = "/pub/openapi.yaml";
const SMALL: &str = "/pub/group/63e1356a741e089d927ad217";

/// Connections of each kind: many times as many as there are threads for them.
const EACH: usize = 16;

/// Requests with answers that do not fit into the buffers between, and nobody who reads.
fn ask_and_leave_it(server: &Server) -> TcpStream {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let request = format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.write_all(request.repeat(40).as_bytes()).unwrap();
    connection
}

#[test]
fn clients_that_take_their_time_hold_up_nobody_else() {
    for database in each() {
        eprintln!("on {}", database.name());
        let mut server = Server::start(&Operator::of(&database), &["serve", "--bind", "127.0.0.1:0"]);
        let (bearer, done) = (server.authorization(), AtomicBool::new(false));
        let mut slow: Vec<_> = (0..EACH).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
        let deaf: Vec<_> = (0..EACH).map(|_| ask_and_leave_it(&server)).collect();
        thread::scope(|threads| {
            threads.spawn(|| {
                let head = format!("GET {SMALL} HTTP/1.1\r\nHost: localhost\r\n{bearer}");
                for byte in head.bytes() {
                    for connection in &mut slow {
                        // A server may have had enough of it.
                        let _ = connection.write_all(&[byte]);
                    }
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            });
            // What was asked for is on its way.
            thread::sleep(Duration::from_millis(500));
            for _ in 0..40 {
                let began = Instant::now();
                let bearer = server.authorization();
                assert_eq!(server.get(SMALL, &bearer).status(), 200);
                assert_eq!(server.get(LARGE, &bearer).status(), 200);
                assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
            }
            done.store(true, Ordering::SeqCst);
        });
        drop((slow, deaf));
        server.signal("-TERM");
        assert_eq!(server.ended(), Some(0));
    }
}
