use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::FitOptions;

/// Arguments of `flowlet fit-many`.
#[derive(Args, Debug)]
#[command(
    after_help = "For each table pump.csv the folder gets what `flowlet fit` writes, pump.flow, pump.f32.flow and \
    pump.rs, and the report, pump.fit.json; besides, summary.csv and summary.json with a line for each table. Tables whose \
    model was made from the same readings with the same options are skipped, so that the same command goes on with what was \
    interrupted or has failed. The exit status is 0 if every table has its model, 3 if some have none, 1 if an error ended \
    the run."
)]
pub struct FitManyArgs {
    /// The tables, CSV, or folders that hold them
    #[arg(required = true, value_name = "CSV|DIR")]
    pub inputs: Vec<PathBuf>,
    /// The folder to write to; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Which share of the tables to fit, such as 3/20: every 20th in the order of their names, from the 3rd on
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Tables to fit at a time; what cores are left over are divided among them [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Memory that the readings of a table may take; above it training goes through a temporary file, and gives the same model
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = super::bytes)]
    pub memory: usize,
    /// No progress and no report
    #[arg(long, short)]
    pub quiet: bool,
    /// How to fit.
    #[command(flatten)]
    pub options: FitOptions,
}

/// A share of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// What belongs to it of an ordered list.
    pub fn of<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.index - 1).step_by(self.count).collect()
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("expected which share of how many, counted from 1, such as 3/20".to_owned()),
        }
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_a_partition() {
        let shares = (1..=4).map(|index| Shard { index, count: 4 }.of((0..10).collect::<Vec<_>>()));
        let mut all: Vec<usize> = shares.flatten().collect();
        assert_eq!(all, [0, 4, 8, 1, 5, 9, 2, 6, 3, 7]);
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        for bad in ["0/4", "5/4", "1/0", "1", "a/b", "-1/3"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
        assert_eq!("3/20".parse(), Ok(Shard { index: 3, count: 20 }));
    }
}
