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
    use std::cell::RefCell;

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    /// What happens at the step.
    pub(in super::super) enum Fault {
        Error(Errno),
        Kill,
        /// Somebody else does this, and the step goes on.
        Meanwhile(Box<dyn FnOnce()>),
    }

    /// Which step it is.
    pub(in super::super) enum At {
        /// By number, from 0.
        Number(usize),
        /// The first one of this name.
        Name(&'static str),
    }

    #[derive(Default)]
    struct State {
        armed: Option<(At, Fault)>,
        trace: Vec<&'static str>,
    }

    thread_local! {
        static STATE: RefCell<State> = RefCell::default();
    }

    /// Arms `fault` at a step of this thread, and clears the trace.
    pub(in super::super) fn arm(at: At, fault: Fault) {
        STATE.set(State { armed: Some((at, fault)), trace: Vec::new() });
    }

    /// Disarms, and tells the steps that were passed since [`arm`], and whether one was hit.
    pub(in super::super) fn disarm() -> (Vec<&'static str>, bool) {
        let state = STATE.take();
        (state.trace, state.armed.is_none())
    }

    pub(in super::super) fn step(name: &'static str) -> Result<(), Errno> {
        let fault = STATE.with_borrow_mut(|state| {
            state.trace.push(name);
            let hit = match state.armed.as_ref()?.0 {
                At::Number(number) => number + 1 == state.trace.len(),
                At::Name(wanted) => wanted == name,
            };
            hit.then(|| state.armed.take()).flatten()
        });
        match fault {
            None => Ok(()),
            Some((_, Fault::Error(errno))) => Err(errno),
            Some((_, Fault::Meanwhile(act))) => {
                act();
                Ok(())
            }
            Some((_, Fault::Kill)) => {
                kill_process(getpid(), Signal::KILL).unwrap();
                unreachable!("SIGKILL cannot be blocked")
            }
        }
    }
}
