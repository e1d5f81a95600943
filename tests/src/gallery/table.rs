//! The distances as a table.

use clap::ValueEnum;
use flowlet_trainer::train::Family;

use super::{Distance, Record};
use crate::densities::densities;

/// A family's name on the command line.
pub(super) fn name(family: Family) -> String {
    family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Two tables, f32 and int8: families by densities, nats.
#[must_use]
pub fn markdown(records: &[Record]) -> String {
    let float: &dyn Fn(&Record) -> Option<Distance> = &|record| Some(record.float);
    [("f32", float), ("int8", &|record| record.int8)].map(|(format, of)| table(records, format, of)).join("\n")
}

fn table(records: &[Record], format: &str, of: &dyn Fn(&Record) -> Option<Distance>) -> String {
    let densities = densities();
    let heads: String = densities.iter().map(|density| format!(" {} |", density.name)).collect();
    let mut text = format!("| {format} |{heads}\n|---|{}\n", "---:|".repeat(densities.len()));
    for family in Family::value_variants() {
        let cells: Vec<Option<Distance>> = densities
            .iter()
            .map(|density| {
                let mut found = records.iter().filter(|it| it.family() == *family && it.density == density.name);
                found.next().and_then(of)
            })
            .collect();
        if cells.iter().any(Option::is_some) {
            let cell = |cell: &Option<Distance>| cell.map_or(" |".to_owned(), |it| format!(" {:.3} |", it.nats));
            text += &format!("| {} |{}\n", name(*family), cells.iter().map(cell).collect::<String>());
        }
    }
    text
}
