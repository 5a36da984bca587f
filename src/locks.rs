//! Locks that a panic does not close. What is held behind one is a list, a count or a state that is whole between any two of its changes:
//! a thread that panicked says so itself, and the others go on with what it left. A state that a panic could leave half changed does not
//! belong behind these.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// What the mutex holds, whoever panicked while it was locked.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    regardless(mutex.lock())
}

/// What a lock or a wait came to, whoever panicked meanwhile.
pub fn regardless<T>(came: LockResult<T>) -> T {
    came.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_left_behind_is_still_there() {
        let mutex = Mutex::new(vec![1]);
        let panicked = std::thread::scope(|scope| {
            let one = scope.spawn(|| {
                let mut held = locked(&mutex);
                held.push(2);
                panic!("while the lock is held");
            });
            one.join().is_err()
        });
        assert!(panicked && mutex.is_poisoned());
        locked(&mutex).push(3);
        assert_eq!(*locked(&mutex), [1, 2, 3]);
        assert_eq!(regardless(mutex.into_inner()), [1, 2, 3]);
    }
}
