use contract::admin::{Provenance, SettingGroup, SettingView};

use super::edits::Edits;

/// Groups in the order in which they are shown.
pub const GROUPS: [SettingGroup; 6] = [
    SettingGroup::Access,
    SettingGroup::Upstream,
    SettingGroup::Models,
    SettingGroup::Server,
    SettingGroup::Data,
    SettingGroup::Logging,
];

/// Which settings are shown, besides by what is searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All.
    #[default]
    All,
    /// Those that somebody set.
    Set,
    /// Those whose value was saved in the panel.
    Panel,
    /// Those with a conflict, or that wait for a restart.
    Attention,
    /// Those that are changed and not saved.
    Edited,
    /// Those of one group.
    Group(SettingGroup),
}

/// What the user looks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    /// Words, all of which must occur.
    pub text: String,
    /// Which of them.
    pub only: Only,
}

impl Search {
    /// Whether a setting is looked for. Names and texts of both languages are searched, so
    /// that a word from the documentation finds it whatever language the panel is in.
    pub fn finds(&self, setting: &SettingView, edits: &Edits) -> bool {
        let wanted = match self.only {
            Only::All => true,
            Only::Set => setting.provenance != Provenance::Default,
            Only::Panel => matches!(setting.provenance, Provenance::Panel { .. }),
            Only::Attention => setting.conflict.is_some() || setting.pending_restart,
            Only::Edited => edits.get(&setting.name).is_some(),
            Only::Group(group) => setting.group == group,
        };
        if !wanted {
            return false;
        }
        let all = [
            &setting.name,
            &setting.title.zh,
            &setting.title.en,
            &setting.help.zh,
            &setting.help.en,
        ]
        .map(|text| text.to_lowercase())
        .join("\n");
        self.text
            .to_lowercase()
            .split_whitespace()
            .all(|word| all.contains(word))
    }
}
