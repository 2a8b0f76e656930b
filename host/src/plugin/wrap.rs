//! From what an author hands in to a component: a component is taken as it is, a core module is
//! wrapped, and text is assembled first if its file says that it is text.

use std::borrow::Cow;
use std::fmt::Display;

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use super::bindings::TRANSFORM;
use super::{Error, Limits, refusals};

const CONTRACT: &str = include_str!("../../../wit/plugin.wit");
const ADAPTER: &str = include_str!("adapter.wat");
const ADAPTER_WORLD: &str = include_str!("adapter.wit");
pub(super) const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// All that a module is wrapped with: another of these makes another component of it.
pub(super) const WITH: [&str; 3] = [CONTRACT, ADAPTER, ADAPTER_WORLD];

/// The component of the bytes of a file: a component, a core module, or, if its name ends in `.wat`, text.
///
/// # Errors
/// If they are none of these, too large, or lack what a plugin must have.
pub(super) fn component<'a>(
    name: &str,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, Error> {
    if bytes.len() > limits.component_max {
        let (size, max) = (bytes.len(), limits.component_max);
        return Err(Error::Limit {
            what: "component",
            size,
            max,
        });
    }
    if Parser::is_component(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    // Only the file's name decides: random bytes shall not be parsed as text.
    let core = if name.ends_with(".wat") {
        // What it says quotes the author, whose words are not those of a missing feature.
        let parsed = wat::parse_bytes(bytes).map_err(|error| Error::Wrap(format!("{error:#}")));
        Cow::Owned(parsed?.into_owned())
    } else {
        Cow::Borrowed(bytes)
    };
    if Parser::is_component(&core) {
        return Ok(core);
    }
    if !Parser::is_core_wasm(&core) {
        return Err(refusals::no_wasm(bytes));
    }
    // Wrapping trusts that sections are where they claim to be.
    let types = wasmparser::validate(&core).map_err(failed)?;
    refusals::core(&core, &types)?;
    Ok(Cow::Owned(wrap(&core)?))
}

/// The whole chain of causes: the last one says which export is missing.
fn failed(error: impl Display) -> Error {
    let said = format!("{error:#}");
    Error::Wrap(refusals::explained(&said).unwrap_or(said))
}

fn wrap(core: &[u8]) -> Result<Vec<u8>, Error> {
    let mut resolve = Resolve::default();
    let contract = resolve.push_str("plugin.wit", CONTRACT).map_err(failed)?;
    let world = resolve
        .select_world(&[contract], Some("plugin"))
        .map_err(failed)?;
    let mut core = with_full_names(core)?;
    // Modules of Rust's wit-bindgen carry the contract themselves.
    if !carries_contract(&core) {
        embed(&mut core, &resolve, world)?;
    }
    let encoder = ComponentEncoder::default().validate(true);
    let mut encoder = encoder.module(&core).map_err(failed)?;
    let asked = of_preview_1(&core);
    if !asked.is_empty() {
        let has_clock = asked.contains(&"clock_time_get");
        let world = if has_clock {
            "clocked-adapter"
        } else {
            "adapter"
        };
        let mut adapter = wat::parse_str(ADAPTER).map_err(failed)?;
        let package = resolve
            .push_str("adapter.wit", ADAPTER_WORLD)
            .map_err(failed)?;
        let world = resolve
            .select_world(&[package], Some(world))
            .map_err(failed)?;
        embed(&mut adapter, &resolve, world)?;
        encoder = encoder.adapter(PREVIEW_1, &adapter).map_err(failed)?;
    }
    encoder.encode().map_err(failed)
}

fn embed(module: &mut Vec<u8>, resolve: &Resolve, world: WorldId) -> Result<(), Error> {
    embed_component_metadata(module, resolve, world, StringEncoding::UTF8).map_err(failed)
}

fn carries_contract(core: &[u8]) -> bool {
    Parser::new(0).parse_all(core).any(|payload| {
        matches!(payload, Ok(Payload::CustomSection(section)) if section.name().starts_with("component-type:"))
    })
}

/// The functions of preview 1 that a module imports.
fn of_preview_1(core: &[u8]) -> Vec<&str> {
    let imports = Parser::new(0)
        .parse_all(core)
        .filter_map(|payload| match payload {
            Ok(Payload::ImportSection(section)) => Some(section),
            _ => None,
        });
    let imports = imports.flat_map(|section| section.into_imports());
    let imports = imports.filter_map(|import| import.ok().filter(|it| it.module == PREVIEW_1));
    imports.map(|import| import.name).collect()
}

/// Lets languages in whose exports can only be called by plain identifiers: `transform` becomes
/// `sluice:plugin/transform@0.1.0#transform`, `cabi_post_transform` its post-return. Leaves out what is
/// for debuggers.
fn with_full_names(core: &[u8]) -> Result<Vec<u8>, Error> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.map_err(failed)?;
        // What a debugger would want is many times the module; its functions' names stay.
        if matches!(&payload, Payload::CustomSection(section) if section.name().starts_with(".debug_"))
        {
            continue;
        }
        if let Payload::ExportSection(section) = &payload {
            let mut exports = ExportSection::new();
            for export in section.clone() {
                let export = export.map_err(failed)?;
                let kind = match export.kind {
                    ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
                    ExternalKind::Table => ExportKind::Table,
                    ExternalKind::Memory => ExportKind::Memory,
                    ExternalKind::Global => ExportKind::Global,
                    ExternalKind::Tag => ExportKind::Tag,
                };
                exports.export(&full_name(export.name), kind, export.index);
            }
            module.section(&exports);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection {
                id,
                data: &core[range],
            });
        }
    }
    Ok(module.finish())
}

pub(super) fn full_name(name: &str) -> Cow<'_, str> {
    match name {
        "init" | "transform" => format!("{TRANSFORM}#{name}").into(),
        "cabi_post_init" | "cabi_post_transform" => {
            let function = name.trim_start_matches("cabi_post_");
            format!("cabi_post_{TRANSFORM}#{function}").into()
        }
        other => other.into(),
    }
}
