//! The corpus that nobody wrote: kinds of credentials in random homes, files and formats.
//!
//! What the kinds are comes from the manuals of the programs that keep them; where they lie, under
//! which names and in which format is new in every run.

mod accounts;
mod configs;
mod formats;
mod homes;
mod places;

use super::world::World;
use crate::Result;

/// An account of a world.
#[derive(Debug, Clone)]
struct User {
    name: String,
    /// Escaped as [`super::world::unescape`] reads it.
    home: String,
}

/// Puts a random choice of everything into `world`.
///
/// # Errors
/// When a file cannot be planted.
pub fn plant(world: &mut World) -> Result {
    let users = accounts::plant(world)?;
    for user in &users {
        homes::plant(world, user)?;
    }
    configs::plant(world)?;
    places::plant(world)?;
    configs::controls(world)
}

/// `count` different elements of `all` in random order; all of them when there are fewer.
fn choose<T: Clone>(world: &mut World, all: &[T], count: usize) -> Vec<T> {
    let mut rest = all.to_vec();
    let mut chosen = Vec::new();
    while chosen.len() < count && !rest.is_empty() {
        let index = world.dice.below(rest.len());
        chosen.push(rest.swap_remove(index));
    }
    chosen
}

fn pick<T: Copy>(world: &mut World, all: &[T]) -> T {
    *world.dice.pick(all)
}

fn word(world: &mut World) -> String {
    world.dice.letters()
}
