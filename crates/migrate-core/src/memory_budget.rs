//! One ceiling on the bytes that all chunks of a process hold.
//!
//! A chunk is let in when the least that its scan and its write need is free. That much is its own
//! while it lasts; what it holds beyond that has to be free as well, or it waits. Two rules keep
//! everything going: a chunk is always let in where there is no other, and one chunk at a time, which
//! has nothing to give back and cannot go on with less, may go beyond the ceiling. So a budget that is
//! too small makes chunks take turns, and the most that is held is the budget and what one chunk cannot
//! do without.
//!
//! Pure accounts: nothing is allocated here, and waiting needs no runtime.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The bytes that all chunks of a process may hold together. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

/// One chunk's part of the budget. Given back when the last clone and reservation is dropped.
#[derive(Debug, Clone)]
pub struct MemoryShare {
    owner: Arc<Owner>,
}

/// Bytes that a chunk holds; given back on drop.
#[derive(Debug)]
#[must_use = "dropped, it is given back"]
pub struct Reservation {
    owner: Arc<Owner>,
    stay: Stay,
    /// Changed only while the accounts are locked.
    bytes: AtomicU64,
}

/// Whether bytes are on their way or stay for as long as the chunk is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    Passing,
    Lasting,
}

#[derive(Debug)]
struct Shared {
    budget_bytes: NonZeroU64,
    accounts: Mutex<Accounts>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Accounts {
    /// What is held or kept for its owner, over all chunks.
    taken_bytes: u64,
    chunks: BTreeMap<u64, Account>,
    next_chunk: u64,
    /// Chunks that want to be let in, in the order in which they came.
    at_the_door: VecDeque<u64>,
    /// Chunks inside that wait for more; they come before those at the door.
    waiting_inside: usize,
    /// The one chunk that is beyond the ceiling.
    favoured: Option<u64>,
}

/// What one chunk may hold and does hold.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "units stand in names")]
struct Account {
    own_bytes: u64,
    passing_bytes: u64,
    lasting_bytes: u64,
}

/// A chunk that has been let in.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    chunk: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: NonZeroU64) -> Self {
        Self {
            shared: Arc::new(Shared {
                budget_bytes: bytes,
                accounts: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// All of it.
    pub fn bytes(&self) -> NonZeroU64 {
        self.shared.budget_bytes
    }

    /// Waits until a chunk that needs at least so many bytes may begin. Chunks are let in in the order
    /// in which they came, and none while one inside waits for more.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the call leaves the place in the row.
    pub async fn admit(&self, least_bytes: u64) -> MemoryShare {
        let place = Place::take(&self.shared);
        loop {
            // Listening begins before looking, so that no change is missed.
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if self.shared.accounts().let_in(place.chunk, least_bytes, self.bytes().get()) {
                let owner = Owner { shared: Arc::clone(&self.shared), chunk: place.chunk };
                return MemoryShare { owner: Arc::new(owner) };
            }
            changed.await;
        }
    }

    /// Bytes that are held or kept for their chunks.
    pub fn taken_bytes(&self) -> u64 {
        self.shared.accounts().taken_bytes
    }
}

impl MemoryShare {
    /// Waits until the chunk may hold so many bytes more, which are on their way to the sink. What is
    /// its own is there at once.
    ///
    /// A chunk of which nothing else is on its way is served even beyond the ceiling, one at a time: it
    /// could never give anything back.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the call reserves nothing.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let shared = &self.owner.shared;
        if let Some(reservation) = self.at_once(bytes, Reach::Beyond) {
            return reservation;
        }
        let _waiting = WaitingInside::begin(shared);
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            if let Some(reservation) = self.at_once(bytes, Reach::Beyond) {
                return reservation;
            }
            changed.await;
        }
    }

    /// Reserves what may be had now without going beyond the ceiling, for reading ahead; nothing while a
    /// chunk waits for what it needs.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.at_once(bytes, Reach::Within)
    }

    /// Counts bytes that are held for as long as the chunk is read, whether there is room or not: they
    /// belong to the least with which it was let in.
    pub fn hold(&self, bytes: u64) -> Reservation {
        let reservation = Reservation {
            owner: Arc::clone(&self.owner),
            stay: Stay::Lasting,
            bytes: AtomicU64::new(0),
        };
        reservation.correct(bytes);
        reservation
    }

    fn at_once(&self, bytes: u64, reach: Reach) -> Option<Reservation> {
        let shared = &self.owner.shared;
        let budget_bytes = shared.budget_bytes.get();
        let is_granted = shared.accounts().reserve(self.owner.chunk, bytes, budget_bytes, reach);
        is_granted.then(|| Reservation {
            owner: Arc::clone(&self.owner),
            stay: Stay::Passing,
            bytes: AtomicU64::new(bytes),
        })
    }
}

impl Reservation {
    /// The bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Corrects the number, once it is known. More is counted, whether there is room or not: the bytes
    /// are there.
    pub fn correct(&self, bytes: u64) {
        self.owner.shared.change(|accounts| {
            let before = self.bytes.swap(bytes, Ordering::Relaxed);
            accounts.change(self.owner.chunk, |account| {
                let held = match self.stay {
                    Stay::Passing => &mut account.passing_bytes,
                    Stay::Lasting => &mut account.lasting_bytes,
                };
                *held = held.saturating_sub(before).saturating_add(bytes);
            });
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.correct(0);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.change(|accounts| {
            if let Some(account) = accounts.chunks.remove(&self.chunk) {
                accounts.taken_bytes = accounts.taken_bytes.saturating_sub(account.taken_bytes());
            }
            if accounts.favoured == Some(self.chunk) {
                accounts.favoured = None;
            }
        });
    }
}

/// How far a reservation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Within,
    Beyond,
}

impl Shared {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change that others may have waited for.
    fn change(&self, change: impl FnOnce(&mut Accounts)) {
        let mut accounts = self.accounts();
        change(&mut accounts);
        if accounts.taken_bytes <= self.budget_bytes.get() {
            accounts.favoured = None;
        }
        drop(accounts);
        self.changed.notify_waiters();
    }
}

impl Account {
    fn taken_bytes(self) -> u64 {
        self.own_bytes.max(self.passing_bytes.saturating_add(self.lasting_bytes))
    }
}

impl Accounts {
    fn let_in(&mut self, chunk: u64, least_bytes: u64, budget_bytes: u64) -> bool {
        let is_first = self.at_the_door.front() == Some(&chunk) && self.waiting_inside == 0;
        let own_bytes = least_bytes.min(budget_bytes);
        let fits = self.taken_bytes.saturating_add(own_bytes) <= budget_bytes;
        if !is_first || !(fits || self.chunks.is_empty()) {
            return false;
        }
        self.taken_bytes = self.taken_bytes.saturating_add(own_bytes);
        self.chunks.insert(chunk, Account { own_bytes, passing_bytes: 0, lasting_bytes: 0 });
        true
    }

    fn reserve(&mut self, chunk: u64, bytes: u64, budget_bytes: u64, reach: Reach) -> bool {
        let Some(account) = self.chunks.get(&chunk).copied() else { return false };
        let passing_bytes = account.passing_bytes.saturating_add(bytes);
        let more = Account { passing_bytes, ..account }.taken_bytes() - account.taken_bytes();
        let fits = more == 0 || self.taken_bytes.saturating_add(more) <= budget_bytes;
        if reach == Reach::Within && more > 0 && self.waiting_inside > 0 {
            return false;
        }
        if !fits {
            let is_next = self.favoured.is_none_or(|favoured| favoured == chunk);
            if reach == Reach::Within || account.passing_bytes > 0 || !is_next {
                return false;
            }
            self.favoured = Some(chunk);
        }
        self.change(chunk, |account| account.passing_bytes = passing_bytes);
        true
    }

    fn change(&mut self, chunk: u64, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.chunks.get_mut(&chunk) else { return };
        let before = account.taken_bytes();
        change(account);
        self.taken_bytes = self.taken_bytes.saturating_sub(before) + account.taken_bytes();
    }
}

/// A place in the row at the door.
#[derive(Debug)]
struct Place<'a> {
    shared: &'a Shared,
    chunk: u64,
}

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Self {
        let mut accounts = shared.accounts();
        let chunk = accounts.next_chunk;
        accounts.next_chunk += 1;
        accounts.at_the_door.push_back(chunk);
        Self { shared, chunk }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.change(|accounts| accounts.at_the_door.retain(|chunk| *chunk != self.chunk));
    }
}

/// Somebody inside waits.
#[derive(Debug)]
struct WaitingInside<'a> {
    shared: &'a Shared,
}

impl<'a> WaitingInside<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.accounts().waiting_inside += 1;
        Self { shared }
    }
}

impl Drop for WaitingInside<'_> {
    fn drop(&mut self) {
        self.shared.change(|accounts| accounts.waiting_inside -= 1);
    }
}

#[cfg(test)]
mod tests;
