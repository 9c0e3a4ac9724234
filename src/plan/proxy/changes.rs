//! The files as they should be, against those that are there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Desired, FileState, Memory};
use crate::{
    manifest::proxy::OnHandEdit,
    plan::{
        Why,
        fight::{self, Contests},
        why::{BackendMove, places},
    },
    sites::{Site, Sites, site},
};

/// What has to be done to the files.
pub(super) struct Changes {
    /// Files to write.
    pub(super) write: Vec<String>,
    /// Files of ours that are wanted no more.
    pub(super) remove: Vec<String>,
    /// Files that somebody has edited and that stay.
    pub(super) kept: Vec<String>,
    /// What of that is left so because somebody else undoes it, as [`fight::site`] names it.
    pub(super) left: BTreeSet<String>,
    /// A file that is not ours and has the name of one that should be.
    pub(super) taken: Option<String>,
    /// Whether nothing differs but where backends are.
    pub(super) only_addresses: bool,
    /// Why.
    pub(super) why: Why,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }
}

pub(super) fn changes(
    (desired, contests): (&Desired, &Contests),
    files: &BTreeMap<String, FileState>,
    sites: &Sites,
    memory: &Memory,
) -> Changes {
    let ours = &desired.config.proxy;
    let is_contested = |name: &str| contests.contains(&fight::site(name));
    let mut left = BTreeSet::new();
    let (mut write, mut kept, mut edited, mut taken) = (Vec::new(), Vec::new(), Vec::new(), None);
    for (name, site) in sites {
        match files.get(name) {
            // Whoever undoes this again and again is let be, and all others are followed as before.
            file if is_contested(name) && is_undone(file, ours) => {
                left.insert(fight::site(name));
                kept.push(name.clone());
            }
            None => write.push(name.clone()),
            Some(FileState::Ours { seal, .. }) if seal.proxy == *ours && !seal.intact => match desired.on_hand_edit {
                OnHandEdit::Keep => kept.push(name.clone()),
                OnHandEdit::Restore => {
                    edited.push(name.clone());
                    write.push(name.clone());
                }
            },
            Some(FileState::Ours { seal, hash }) if seal.proxy == *ours => {
                if *hash != site::hash(&site.text) {
                    write.push(name.clone());
                }
            }
            Some(FileState::Foreign | FileState::Ours { .. }) => taken = taken.or_else(|| Some(name.clone())),
        }
    }
    let keeps = desired.on_hand_edit == OnHandEdit::Keep;
    let stale = files.iter().filter(|(name, file)| match file {
        FileState::Ours { seal, .. } => seal.proxy == *ours && !sites.contains_key(*name) && (seal.intact || !keeps),
        FileState::Foreign => false,
    });
    let remove: Vec<String> = stale.map(|(name, _)| name.clone()).collect();
    let same_form = |name: &String| match (files.get(name), sites.get(name)) {
        (Some(FileState::Ours { seal, .. }), Some(site)) => {
            seal.intact && seal.form == site.form && seal.certificate == site.certificate
        }
        _ => false,
    };
    let only_addresses = remove.is_empty() && !write.is_empty() && write.iter().all(same_form);
    let why = why(desired, memory, (files, sites), (&write, edited), only_addresses);
    Changes { write, remove, kept, left, taken, only_addresses, why }
}

/// Whether somebody has taken a file of ours away, or edited it.
fn is_undone(file: Option<&FileState>, ours: &str) -> bool {
    match file {
        None => true,
        Some(FileState::Ours { seal, .. }) => seal.proxy == ours && !seal.intact,
        Some(FileState::Foreign) => false,
    }
}

fn why(
    desired: &Desired,
    memory: &Memory,
    (files, sites): (&BTreeMap<String, FileState>, &Sites),
    (write, edited): (&[String], Vec<String>),
    only_addresses: bool,
) -> Why {
    if !edited.is_empty() {
        return Why::HandEdited { files: edited };
    }
    if only_addresses {
        return Why::AddressMoved { moves: moves(files, sites, write) };
    }
    let renewed = |name: &&String| match (files.get(*name), sites.get(*name)) {
        (Some(FileState::Ours { seal, .. }), Some(Site { certificate, form, .. })) => {
            seal.form == *form && seal.certificate != *certificate
        }
        _ => false,
    };
    if let Some(file) = write.iter().find(renewed) {
        return Why::CertificateChanged { host: file.trim_end_matches(".conf").to_owned() };
    }
    match &memory.rejected {
        Some(rejected) if rejected.config == desired.config.digest() => Why::ChangeFailed { reason: rejected.reason.clone() },
        _ if write.iter().any(|name| !files.contains_key(name)) && memory.proven.is_some() && has_lost(desired, memory) => {
            Why::FileMissing
        }
        _ => Why::RoutesChanged,
    }
}

/// Whether what should be there is what has been there: then a file that is not is one that somebody removed.
fn has_lost(desired: &Desired, memory: &Memory) -> bool {
    memory.good.as_ref().is_some_and(|good| *good == desired.config)
}

/// Where backends were, and where they are.
fn moves(files: &BTreeMap<String, FileState>, sites: &Sites, write: &[String]) -> Vec<BackendMove> {
    let mut moves = BTreeMap::new();
    for name in write {
        let (Some(FileState::Ours { seal, .. }), Some(site)) = (files.get(name), sites.get(name)) else { continue };
        for (backend, to) in &site.addresses {
            let from = seal.addresses.get(backend);
            if from != Some(to) {
                moves.insert(
                    backend.clone(),
                    BackendMove { backend: backend.clone(), from: from.map(places).unwrap_or_default(), to: places(to) },
                );
            }
        }
    }
    moves.into_values().collect()
}
