//! `cargo xtask gallery`: every family on every density in the plane, as a table and pictures.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use flowlet_tests::densities::{Density, densities};
use flowlet_tests::gallery::{Column, Record, fit, markdown, options, picture};
use flowlet_trainer::model::Model;
use flowlet_trainer::train::Family;

/// What the command line chose.
pub struct Options {
    /// Where results and pictures go.
    pub out: Option<PathBuf>,
    /// Only these; all where there are none.
    pub families: Vec<Family>,
    /// Only these, by their names with hyphens; all where there are none.
    pub densities: Vec<String>,
    /// Fits that only show that all works.
    pub quick: bool,
}

/// Fits what has not been fitted yet, draws, and prints the table.
pub fn run(chosen: &Options) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let default = if chosen.quick { "target/gallery-quick" } else { "target/gallery" };
    let out = chosen.out.clone().unwrap_or_else(|| folder.join(default));
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let all = densities();
    for name in &chosen.densities {
        ensure!(all.iter().any(|it| hyphened(it.name) == hyphened(name)), "there is no density `{name}`");
    }
    let mut results = Results::read(&out, chosen.quick)?;
    // Family by family, so that the table of an interrupted run has whole rows.
    for &family in Family::value_variants().iter().filter(|it| among(&chosen.families, it)) {
        for density in &all {
            let wanted = chosen.densities.is_empty()
                || chosen.densities.iter().any(|name| hyphened(name) == hyphened(density.name));
            if wanted && results.find(family, density).is_none() {
                results.add(fit(density, &options(family, chosen.quick))?)?;
            }
        }
        results.draw(family, &all)?;
    }
    let table = markdown(&results.records);
    println!("{table}");
    let page = page(&table, &results.records);
    fs::write(out.join("gallery.md"), &page)?;
    println!("{}", out.join("gallery.md").display());
    // A part of the table does not replace the whole.
    if !chosen.quick && results.records.len() == Family::value_variants().len() * all.len() {
        let kept = folder.join("tests/cost");
        fs::write(kept.join("gallery.md"), &page)?;
        fs::create_dir_all(kept.join("gallery"))?;
        for family in Family::value_variants() {
            let picture = format!("{}.png", word(*family));
            fs::copy(out.join(&picture), kept.join("gallery").join(&picture))?;
        }
    }
    Ok(())
}

fn among(chosen: &[Family], family: &Family) -> bool {
    chosen.is_empty() || chosen.contains(family)
}

fn hyphened(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn word(family: Family) -> String {
    family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// What has been fitted: a line of JSON for each fit, and its model.
struct Results {
    out: PathBuf,
    records: Vec<Record>,
}

impl Results {
    /// Those in a folder that were fitted with today's settings.
    fn read(out: &Path, quick: bool) -> Result<Self> {
        let path = out.join("results.jsonl");
        let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        // A line that does not parse is one whose writing was interrupted, or an older version's.
        let mut records: Vec<Record> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        records.retain(|record| record.options == options(record.family(), quick));
        Ok(Self { out: out.to_owned(), records })
    }

    fn find(&self, family: Family, density: &Density) -> Option<&Record> {
        self.records.iter().find(|it| it.family() == family && it.density == density.name)
    }

    fn model_path(&self, family: Family, density: &str) -> PathBuf {
        self.out.join(format!("{}-{}.flowlet", word(family), hyphened(density)))
    }

    fn add(&mut self, (record, model): (Record, Model)) -> Result<()> {
        // The model first: a record means that there is one.
        fs::write(self.model_path(record.family(), &record.density), model.to_bytes())?;
        let mut file = OpenOptions::new().create(true).append(true).open(self.out.join("results.jsonl"))?;
        // A newline before it too: the line before may have been interrupted.
        writeln!(file, "\n{}", serde_json::to_string(&record)?)?;
        let int8 = record.int8.map_or(String::new(), |it| format!(", int8 {:.3}", it.nats));
        println!(
            "{} on {}: {:.3} nats{int8}, {} steps, {} parameters, {:.0} s",
            word(record.family()),
            record.density,
            record.float.nats,
            record.steps,
            record.parameters,
            record.seconds
        );
        self.records.push(record);
        Ok(())
    }

    fn draw(&self, family: Family, all: &[Density]) -> Result<()> {
        let read = |density: &Density| -> Result<Option<(&Record, Model)>> {
            let Some(record) = self.find(family, density) else { return Ok(None) };
            let path = self.model_path(family, density.name);
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Some((record, Model::from_bytes(&bytes)?)))
        };
        let fits: Vec<_> = all.iter().map(read).collect::<Result<_>>()?;
        let column = |(density, fit)| {
            let fit: &Option<(&Record, Model)> = fit;
            Column { density, fit: fit.as_ref().map(|(record, model)| (*record, model)) }
        };
        let columns: Vec<Column<'_>> = all.iter().zip(&fits).map(column).collect();
        fs::write(self.out.join(format!("{}.png", word(family))), picture(family, &columns)?)?;
        Ok(())
    }
}

/// The table with what it means.
fn page(table: &str, records: &[Record]) -> String {
    let distances = || records.iter().flat_map(|it| [Some(it.float), it.int8]).flatten();
    let error = distances().map(|it| it.error).fold(0.0, f64::max);
    format!(
        "# Every family on eleven densities in the plane

```
cargo xtask gallery
```

The mean of log p(x) - log q(x) over 10,000 points that no fit has seen, p being the true density and q the fitted one: the
Kullback-Leibler divergence, in nats. 0 is a perfect fit. Each fit learned from 20,000 points, 5,000 more chose when to stop;
no standard error is above {error:.3}. int8: the same fit with quantized nets. Families without nets have none, and neither have
continuous flows. What is empty was not run. Pictures are in `gallery/`, the settings are in `tests/src/gallery/settings.rs`.

{table}"
    )
}
