//! Datagrams: each question with its answers, and what a fault makes of them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Fault, Shared};

/// How long an answer is waited for: longer than any server here needs.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a second answer to a doubled question is waited for.
const SECOND: Duration = Duration::from_millis(500);

pub(super) fn serve(shared: &Arc<Shared>, socket: &Arc<UdpSocket>) {
    let mut buffer = [0; 65_535];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        if shared.is_over() {
            return;
        }
        let question = buffer[..length].to_vec();
        if shared.manner.stream_only {
            // It is counted when it comes again.
            ask_again_over_tcp(&question).and_then(|answer| socket.send_to(&answer, client).ok());
            continue;
        }
        shared.hear();
        let before = shared.hear_out(&question);
        // What comes while datagrams are lost does not reach the server.
        if before == Some(Fault::Drop) {
            continue;
        }
        let (shared, socket) = (Arc::clone(shared), Arc::clone(socket));
        thread::spawn(move || {
            for answer in ask(&shared, &question, before == Some(Fault::Duplicate)) {
                pass(&shared, &socket, answer, client);
            }
        });
    }
}

/// The answers of the server: two where it is asked twice.
fn ask(shared: &Shared, question: &[u8], twice: bool) -> Vec<Vec<u8>> {
    let Ok(out) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return Vec::new() };
    let (mut answers, mut buffer) = (Vec::new(), [0; 65_535]);
    for wait in [ANSWER, SECOND].into_iter().take(1 + usize::from(twice)) {
        let sent = out.send_to(question, shared.upstream).and_then(|_| out.set_read_timeout(Some(wait)));
        if let Ok(length) = sent.and_then(|()| out.recv(&mut buffer)) {
            answers.push(buffer[..length].to_vec());
        }
    }
    answers
}

/// An answer on its way back.
fn pass(shared: &Shared, socket: &UdpSocket, answer: Vec<u8>, client: SocketAddr) {
    let send = |answer: &[u8], client: SocketAddr| socket.send_to(answer, client).ok();
    match shared.fault() {
        Some(Fault::Drop) => {}
        Some(Fault::Delay(long)) => {
            thread::sleep(long);
            send(&answer, client);
        }
        Some(Fault::Duplicate) => {
            send(&answer, client);
            send(&answer, client);
        }
        Some(Fault::Reorder) => match hold(shared, &answer, client) {
            Some((earlier, of)) => {
                send(&answer, client);
                send(&earlier, of);
            }
            // Nobody came while the fault was on.
            None => {
                let left = shared.state().held.take();
                left.and_then(|(earlier, of)| send(&earlier, of));
            }
        },
        Some(Fault::Cut(most)) => {
            send(&answer[..answer.len().min(most)], client);
        }
        None | Some(Fault::HalfOpen | Fault::Reset | Fault::Throttle(_)) => {
            send(&answer, client);
        }
    }
}

/// The answer that is held back, which this one comes before. Where there is none, this one is held back: until the next one has come, or
/// the fault is over.
fn hold(shared: &Shared, answer: &[u8], client: SocketAddr) -> Option<(Vec<u8>, SocketAddr)> {
    let mut state = shared.state();
    if let Some(earlier) = state.held.take() {
        shared.changed.notify_all();
        return Some(earlier);
    }
    state.held = Some((answer.to_vec(), client));
    while let (Some(_), Some((_, until))) = (&state.held, state.fault) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || shared.is_over() {
            break;
        }
        state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    None
}

/// The head and the question of a DNS message as an answer that is cut short.
fn ask_again_over_tcp(question: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(question[end]);
    }
    let mut answer = question.get(..end + 5)?.to_vec();
    // QR and TC; one question, and nothing else.
    answer[2] |= 0x82;
    answer[6..12].fill(0);
    Some(answer)
}
