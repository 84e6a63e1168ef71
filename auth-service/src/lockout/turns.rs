//! Attempts at one subject take turns in this process: one at a time asks the database whether it
//! may be made, and the others wait in line without asking.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

/// The subjects that are being attempted.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Arc<Turn>>>);

#[derive(Debug, Default)]
struct Turn {
    line: tokio::sync::Mutex<()>,
    ended: Notify,
}

/// A place in the line of one subject, from before an attempt is let in until it has ended.
#[derive(Debug)]
pub struct Place {
    turns: Arc<Turns>,
    subject: String,
    turn: Arc<Turn>,
}

impl Turns {
    /// Joins the line of `subject`.
    pub fn join(self: &Arc<Self>, subject: String) -> Place {
        let turn = self.lines().entry(subject.clone()).or_default().clone();
        Place { turns: self.clone(), subject, turn }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Arc<Turn>>> {
        // The map is whole at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for the head of the line, until `deadline`.
    pub async fn head(&self, deadline: Instant) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        timeout_at(deadline, self.turn.line.lock()).await.ok()
    }

    /// Waits until an attempt at the same subject has ended, or for `at_most`: it may be one of
    /// another process.
    pub async fn another_ends(&self, at_most: Duration) {
        // Either way it is time to ask again.
        let _ = timeout(at_most, self.turn.ended.notified()).await;
    }

    /// Tells the head of the line that an attempt has ended.
    pub fn has_ended(&self) {
        self.turn.ended.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        // One in the map, one here: places are taken and left under the lock of the map.
        if Arc::strong_count(&self.turn) == 2 {
            lines.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_there_while_someone_stands_in_it() {
        let turns = Arc::new(Turns::default());
        let first = turns.join("a".to_owned());
        let second = turns.join("a".to_owned());
        let other = turns.join("b".to_owned());
        let soon = Instant::now() + Duration::from_millis(1);
        let head = first.head(soon).await.expect("nobody is before it");
        assert!(second.head(soon).await.is_none(), "one at a time");
        assert!(other.head(soon).await.is_some(), "each subject has a line of its own");
        drop(head);
        second.has_ended();
        first.another_ends(Duration::MAX).await;
        drop((first, other));
        assert_eq!(turns.lines().len(), 1);
        drop(second);
        assert_eq!(turns.lines().len(), 0);
    }
}
