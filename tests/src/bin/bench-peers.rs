//! The table of the README: what other ways leave of the written corpus, and what ours does.
//! Arguments are names of rows; without any, all are made.
#![allow(clippy::print_stdout)]

use disinherit_tests::Result;
use disinherit_tests::escape::corpus;
use disinherit_tests::escape::dice::Dice;
use disinherit_tests::escape::peers::{ALL, Image, fresh, table};
use disinherit_tests::escape::world::World;

fn main() -> Result {
    let layer = fresh()?;
    let world = World::new(&layer.root(), Dice::new());
    let image = Image::make(corpus::plant, world, &layer)?;
    drop(layer);
    let mut rows = Vec::new();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for peer in ALL.iter().filter(|peer| asked.is_empty() || asked.contains(&peer.name())) {
        rows.push((*peer, image.clean(*peer)?));
    }
    let (secrets, controls) = (image.world().secrets().len(), image.world().controls().len());
    println!("{}", table(&rows, secrets, controls));
    Ok(())
}
