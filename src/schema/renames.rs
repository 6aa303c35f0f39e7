//! Follows table renames forwards and backwards: the name that a table has after a run of
//! `ALTER TABLE … RENAME TO` statements, and the name that it had before them.

/// The table renames of a script or of a whole run, in the order in which they happen. All names
/// are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renames {
    renames: Vec<Rename>,
}

/// One `ALTER TABLE … RENAME TO`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rename {
    from: String,
    to: String,
}

/// What one `ALTER TABLE … RENAME` renames. All names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StatementRename {
    Table { from: String, to: String },
    Column { table: String, from: String, to: String },
}

impl Renames {
    /// No renames.
    pub(crate) const fn new() -> Self {
        Self { renames: Vec::new() }
    }

    /// Appends a rename that happens after all others. Both names are in lower case.
    pub(crate) fn push(&mut self, from: String, to: String) {
        self.renames.push(Rename { from, to });
    }

    /// Appends the renames of a script that runs after the ones held here.
    pub(crate) fn append(&mut self, later: &Self) {
        self.renames.extend_from_slice(&later.renames);
    }

    /// The name after all renames of a table that is called `name` before them.
    pub(crate) fn final_name(&self, name: &str) -> String {
        let renames = self.renames.iter();
        renames
            .fold(name, |name, rename| if rename.from == name { &rename.to } else { name })
            .to_owned()
    }

    /// The name before all renames of a table that is called `name` after them.
    pub(crate) fn original_name(&self, name: &str) -> String {
        let renames = self.renames.iter().rev();
        renames
            .fold(name, |name, rename| if rename.to == name { &rename.from } else { name })
            .to_owned()
    }

    /// Both sides of each rename, in order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.renames.iter().map(|rename| (rename.from.as_str(), rename.to.as_str()))
    }

    /// The name on the left of each rename.
    pub(crate) fn old_names(&self) -> impl Iterator<Item = &str> {
        self.renames.iter().map(|rename| rename.from.as_str())
    }

    /// The name on the right of each rename.
    pub(crate) fn new_names(&self) -> impl Iterator<Item = &str> {
        self.renames.iter().map(|rename| rename.to.as_str())
    }

    /// The names on the other side of every rename that has `name` on one side.
    pub(crate) fn names_next_to(&self, name: &str) -> impl Iterator<Item = &str> {
        self.renames.iter().filter_map(move |rename| {
            match (rename.from == name, rename.to == name) {
                (true, _) => Some(rename.to.as_str()),
                (false, true) => Some(rename.from.as_str()),
                (false, false) => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renames(pairs: &[(&str, &str)]) -> Renames {
        let mut renames = Renames::new();
        for (from, to) in pairs {
            renames.push((*from).to_owned(), (*to).to_owned());
        }
        renames
    }

    #[test]
    fn a_chain_of_renames_is_followed_both_ways() {
        let renames = renames(&[("a", "b"), ("x", "y"), ("b", "c")]);
        assert_eq!(renames.final_name("a"), "c");
        assert_eq!(renames.original_name("c"), "a");
        assert_eq!(renames.final_name("other"), "other");
        assert_eq!(renames.original_name("other"), "other");
    }

    #[test]
    fn tables_that_swap_names_are_kept_apart() {
        let renames = renames(&[("a", "temp"), ("b", "a"), ("temp", "b")]);
        assert_eq!(renames.final_name("a"), "b");
        assert_eq!(renames.final_name("b"), "a");
        assert_eq!(renames.original_name("a"), "b");
        assert_eq!(renames.original_name("b"), "a");
    }

    #[test]
    fn neighbours_are_found_on_both_sides() {
        let renames = renames(&[("a", "b"), ("b", "c")]);
        assert_eq!(renames.names_next_to("b").collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(renames.old_names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(renames.new_names().collect::<Vec<_>>(), ["b", "c"]);
    }
}
