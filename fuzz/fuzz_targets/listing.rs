//! What clients of the registry ask in: `query=` and `fields=`. Whatever is read is bounded, and reading it again gives the
//! same.
#![no_main]

use hubgate::registry::{
    fields::Fields,
    query::{self, Expr, Item},
};
use libfuzzer_sys::fuzz_target;

fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::Item(_) => 1,
        Expr::Not(inner) => 1 + depth(inner),
        Expr::And(parts) | Expr::Or(parts) => {
            assert!(parts.len() > 1);
            1 + parts.iter().map(depth).max().unwrap_or(0)
        }
    }
}

fn count(expr: &Expr) -> usize {
    match expr {
        Expr::Item(Item::Tuple(_, parts)) => 1 + parts.len(),
        Expr::Item(_) => 1,
        Expr::Not(inner) => count(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(count).sum(),
    }
}

fn written(fields: &Fields) -> String {
    match fields {
        Fields::Usual => String::new(),
        Fields::Named(named) => {
            let parts = named.iter().map(|(name, of)| match of {
                Fields::Usual => name.clone(),
                Fields::Named(_) => format!("{name}({})", written(of)),
            });
            parts.collect::<Vec<_>>().join(",")
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Some(expr)) = query::parse(text) {
        assert!(depth(&expr) <= 150 && count(&expr) <= 200);
    }
    if let Ok(fields) = Fields::parse(text) {
        let again = written(&fields);
        assert!(again.len() <= 16 * 1024);
        if again.len() <= 8 * 1024 {
            assert_eq!(Fields::parse(&again).as_ref(), Ok(&fields));
        }
    }
});
