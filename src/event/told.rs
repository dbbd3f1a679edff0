//! What there is to say about each event: made into the AsyncAPI document by the sockets' door.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    ADMIN, Kind, MAIN, conversations, notifications, orders, products, projects, rooms, stats,
    tokens,
};

/// An event that the server sends.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// [`MAIN`] or [`ADMIN`].
    pub namespace: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    /// To whom, in words.
    pub to: &'static str,
    /// What it says.
    pub payload: fn(&mut SchemaGenerator) -> Schema,
}

impl Told {
    /// One of `/` that is kept.
    #[must_use]
    pub const fn stored<T: JsonSchema>(name: &'static str, to: &'static str) -> Self {
        Self { namespace: MAIN, name, kind: Kind::Stored, to, payload: schema_of::<T> }
    }

    /// One of `/` that is not kept.
    #[must_use]
    pub const fn passing<T: JsonSchema>(name: &'static str, to: &'static str) -> Self {
        Self { kind: Kind::Ephemeral, ..Self::stored::<T>(name, to) }
    }

    /// The same on `/admin`, to all who are there.
    #[must_use]
    pub const fn on_admin(self) -> Self {
        Self { namespace: ADMIN, to: "all of /admin", ..self }
    }
}

/// Takes what `T` says of itself.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Every event that a verb announces.
pub fn told() -> impl Iterator<Item = Told> {
    [
        products::TOLD,
        orders::TOLD,
        notifications::TOLD,
        projects::TOLD,
        conversations::TOLD,
        rooms::TOLD,
        stats::TOLD,
        tokens::TOLD,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names within `("…"` of calls, in the source.
    fn names(source: &str, calls: &[&str]) -> BTreeSet<String> {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let found = calls.iter().flat_map(|call| code.split(call).skip(1));
        found.filter_map(|rest| rest.split('"').nth(1)).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_event_that_can_be_made_is_told_of() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/event");
        let files = std::fs::read_dir(folder)
            .expect("the source is there")
            .map(|file| file.expect("an entry").path());
        let sources: Vec<String> =
            files.map(|file| std::fs::read_to_string(file).expect("text")).collect();
        let made: BTreeSet<String> = sources
            .iter()
            .flat_map(|source| {
                names(source, &["NewEvent::stored(", "NewEvent::ephemeral(", "NewEvent { name: "])
            })
            .collect();
        let told: BTreeSet<String> = told().map(|told| told.name.to_owned()).collect();
        assert!(made.len() > 8, "{made:?}");
        assert_eq!(made, told);
    }
}
