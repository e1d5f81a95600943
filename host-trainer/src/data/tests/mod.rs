mod division;
mod messages;
mod notes;
mod reading;
mod splitting;

use super::{DataError, Readings, Roles, Table};

fn table(text: &str) -> Table {
    Table::parse("readings.csv", text.as_bytes()).unwrap()
}

fn fit(text: &str, roles: &Roles) -> Result<Readings, DataError> {
    Readings::for_fitting(&Table::parse("readings.csv", text.as_bytes())?, roles)
}

fn label(name: &str) -> Roles {
    Roles { label: Some(name.to_owned()), ..Roles::default() }
}
