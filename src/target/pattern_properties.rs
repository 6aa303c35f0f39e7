//! Tests with generated templates and names that a path and a name are the inverse of each other.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::target::pattern::{PathMatch, PathTemplate, is_file_name};
use crate::target::pattern_error::PathTemplateError;
use crate::text::os_string_from_bytes;

/// A template with one to four components, one of which contains `{username}`.
fn any_template() -> impl Strategy<Value = String> {
    let piece = || {
        prop_oneof![
            "[a.}x -]{1,3}",
            Just("{username}".to_owned()),
            (1..=255_usize).prop_map(|count| format!("{{username:{count}}}")),
            (1..=3_usize).prop_map(|count| format!("{{username:{count}}}")),
            (1..=64_usize).prop_map(|count| format!("{{sha256:{count}}}")),
            (1..=40_usize).prop_map(|count| format!("{{sha1:{count}}}")),
            (1..=32_usize).prop_map(|count| format!("{{md5:{count}}}")),
        ]
    };
    let component = move || proptest::collection::vec(piece(), 1..4);
    (proptest::collection::vec(component(), 0..4), component(), 0..4_usize).prop_map(
        |(mut components, mut named, index)| {
            named.push("{username}".to_owned());
            components.insert(index.min(components.len()), named);
            let components: Vec<String> =
                components.into_iter().map(|pieces| pieces.concat()).collect();
            components.join("/")
        },
    )
}

/// Names of the bytes that templates contain as literals, so that a wrong split could match,
/// and of any bytes.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'.'), Just(b'}')], 1..9),
        proptest::collection::vec(any::<u8>(), 1..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_path_and_a_name_are_the_inverse_of_each_other(
        text in any_template(),
        name in any_name(),
    ) {
        let Ok(template) = text.parse::<PathTemplate>() else {
            // Only a component of dots cannot be parsed.
            prop_assert!(text.split('/').any(|component| matches!(component, "." | "..")));
            return Ok(());
        };
        let user = os_string_from_bytes(&name);
        match template.path(&user) {
            Ok(path) => prop_assert_eq!(template.match_path(&path), PathMatch::User(user)),
            Err(PathTemplateError::NameTooLong { .. }) => {}
            Err(PathTemplateError::InvalidUserName(..)) => {
                let path = template.components().iter().map(|component| {
                    let mut bytes = Vec::new();
                    component.append(&name, &mut bytes);
                    bytes
                });
                prop_assert!(path.into_iter().any(|bytes| !is_file_name(&bytes)));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_path_belongs_to_a_name_only_if_the_name_results_in_it(
        text in any_template(),
        names in proptest::collection::vec(any_name(), 1..5),
    ) {
        let Ok(template) = text.parse::<PathTemplate>() else { return Ok(()) };
        let path: PathBuf = names.iter().map(|name| os_string_from_bytes(name)).collect();
        match template.match_path(&path) {
            PathMatch::User(user) => {
                prop_assert_eq!(template.path(&user).unwrap(), path);
            }
            PathMatch::Misplaced { user, expected } => {
                prop_assert_eq!(template.path(&user).ok(), expected.clone());
                prop_assert_ne!(expected, Some(path));
            }
            PathMatch::EmptyName | PathMatch::NoMatch => {}
        }
    }

    #[test]
    fn no_text_of_a_template_panics(text in "[{}*./:a-z0-9]{0,40}", name in any_name()) {
        if let Ok(template) = text.parse::<PathTemplate>() {
            let user = os_string_from_bytes(&name);
            prop_assert_eq!(template.to_string(), text);
            let _ = template.path(&user);
            let _ = template.match_path(Path::new(&user));
        }
    }
}
