//! A mark before every system call of a change that a crash or an error can hit.
//!
//! Outside of unit tests it is an empty function that is always inlined.

#[cfg(not(test))]
use rustix::io::Errno;

#[cfg(not(test))]
#[inline(always)]
pub(super) fn step(_name: &'static str) -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
pub(super) use armed::step;

#[cfg(test)]
pub(super) mod armed {
    use std::cell::{Cell, RefCell};

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    /// What happens at the step.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) enum Fault {
        Error(Errno),
        Kill,
    }

    thread_local! {
        static LEFT: Cell<Option<(u32, Fault)>> = const { Cell::new(None) };
        static TRACE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    /// Arms `fault` at step `number`, counted from 0, of this thread; clears the trace.
    pub(in super::super) fn arm(number: u32, fault: Fault) {
        LEFT.set(Some((number, fault)));
        TRACE.take();
    }

    /// Disarms, and tells the steps that were passed since [`arm`].
    pub(in super::super) fn disarm() -> Vec<&'static str> {
        LEFT.set(None);
        TRACE.take()
    }

    pub(in super::super) fn step(name: &'static str) -> Result<(), Errno> {
        TRACE.with_borrow_mut(|trace| trace.push(name));
        match LEFT.get() {
            Some((0, fault)) => {
                LEFT.set(None);
                match fault {
                    Fault::Error(errno) => Err(errno),
                    Fault::Kill => {
                        kill_process(getpid(), Signal::KILL).unwrap();
                        unreachable!("SIGKILL cannot be blocked")
                    }
                }
            }
            Some((left, fault)) => {
                LEFT.set(Some((left - 1, fault)));
                Ok(())
            }
            None => Ok(()),
        }
    }
}
