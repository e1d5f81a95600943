//! `cargo xtask peers`: what detectors of other libraries cost on an emulated Cortex-M4F, and the smallest flow that tells
//! the rig's faults as well as their autoencoder does.

mod flow;
mod models;
mod program;
mod rig;
mod search;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::setup;
use flow::{FLOWS, Fits, SEEDS};
use models::Models;
use program::{Figure, Profile, Program};
use rig::Rig;

/// What was chosen on the command line.
pub struct Options {
    /// Looks for the smallest flow among many, in place of measuring the peers.
    pub search: bool,
    /// Where the figures go.
    pub json: Option<PathBuf>,
}

/// Trains, builds, runs; writes the tables.
pub fn run(options: &Options) -> Result<()> {
    let models = Models::prepare(&setup::target_directory().join("peers"))?;
    let rig = Rig::read()?;
    let written = if options.search {
        let found = search::run(&models, &rig)?;
        json(options, &found)?;
        write("smallest.md", &search::page(&found, models.reference.autoencoder()))?
    } else {
        let flows: Vec<Fits> =
            FLOWS.iter().map(|shape| shape.fit(&models, &rig, SEEDS, None)).collect::<Result<_>>()?;
        let figures = measure(&models, &rig, &flows)?;
        json(options, &figures)?;
        write("peers.md", &table::page(&figures, &models.reference, &flows))?
    };
    println!("{}", written.display());
    Ok(())
}

/// Every peer and every flow, built in both ways.
fn measure(models: &Models, rig: &Rig, flows: &[Fits]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for profile in Profile::ALL {
        // The peers' programs have no flow, but cargo builds all of them with the path of one.
        let empty = models.build(Program::Empty, profile, &flows[0].source)?;
        let peers = Program::PEERS.map(|program| (program, &flows[0]));
        for (program, flow) in peers.into_iter().chain(flows.iter().map(|flow| (Program::Flow, flow))) {
            eprintln!("{program:?}, opt-level {}", profile.opt_level());
            let image = models.build(program, profile, &flow.source)?;
            figures.push(program.measure(profile, &image, &empty, &models.reference, rig, flow)?);
        }
    }
    Ok(figures)
}

/// The figures for programs, where they were asked for.
fn json(options: &Options, figures: &impl Serialize) -> Result<()> {
    let Some(path) = &options.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(figures)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Prints a page and keeps it with the other costs.
fn write(name: &str, page: &str) -> Result<PathBuf> {
    println!("{page}");
    let path = setup::root().join(Path::new("tests/cost").join(name));
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
