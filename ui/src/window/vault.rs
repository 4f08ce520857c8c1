use contract::desktop::{DesktopState, Passphrase, VaultState};
use contract::{ApiError, ErrorCode};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_context,
    use_state_eq,
};

use crate::app::{Desktop, use_host, use_lang};
use crate::controls::{Act, ErrorNote, Kind, Notice, Spinner, TextField, Tone};
use crate::pages::sign_in::Frame;

/// The shortest passphrase that can be chosen, in characters.
const SHORTEST: usize = 8;

#[derive(PartialEq, Properties)]
pub struct VaultScreenProps {
    pub vault: VaultState,
}

/// What is shown instead of the panel while the vault is not open.
#[component]
pub fn VaultScreen(props: &VaultScreenProps) -> Html {
    let host = use_host();
    let busy = use_state_eq(|| false);
    let refused = use_state_eq(|| None::<ApiError>);
    let became = use_context::<Desktop>().map(|desktop| desktop.became);
    let unlock = {
        let (busy, refused) = (busy.setter(), refused.setter());
        use_callback((), move |passphrase: Option<String>, ()| {
            let (busy, refused, became) = (busy.clone(), refused.clone(), became.clone());
            busy.set(true);
            refused.set(None);
            spawn_local(async move {
                let args = json!({ "passphrase": passphrase });
                match host.command::<DesktopState>("vault_unlock", args).await {
                    Ok(state) => {
                        if let Some(became) = became {
                            became.emit(state);
                        }
                    }
                    Err(error) => refused.set(Some(error)),
                }
                busy.set(false);
            });
        })
    };
    html!(<VaultView vault={props.vault.clone()} busy={*busy} refused={(*refused).clone()} {unlock} />)
}

#[derive(PartialEq, Properties)]
pub struct VaultViewProps {
    pub vault: VaultState,
    pub busy: bool,
    /// Why the last try to open it failed.
    pub refused: Option<ApiError>,
    /// Tries again, with a passphrase or without.
    pub unlock: Callback<Option<String>>,
}

/// The vault's screens as a function of its state.
#[component]
pub fn VaultView(props: &VaultViewProps) -> Html {
    let lang = use_lang();
    let VaultState::Closed { error, passphrase } = &props.vault else {
        return html!(
            <Frame title={lang.t("vault.opening")} subtitle={lang.t("vault.opening_help")}>
                <div class="pf-v6-l-bullseye" data-testid="vault-opening">
                    <Spinner label={lang.t("common.loading")} />
                </div>
            </Frame>
        );
    };
    // The keychain has no say in a vault that a passphrase opens.
    let again = match passphrase {
        Passphrase::Set => Html::default(),
        Passphrase::CanBeChosen | Passphrase::NoUse => html!(
            <Act
                id="vault-retry"
                label={lang.t("vault.retry")}
                busy={props.busy}
                onclick={props.unlock.reform(|()| None)}
            />
        ),
    };
    let shown = props.refused.clone().unwrap_or_else(|| error.clone());
    let note = if shown.code == ErrorCode::PassphraseNeeded {
        // What was agreed upon, not an error.
        html!(
            <Notice tone={Tone::Info} id="vault-note" title={lang.error_title(shown.code)}>
                <p>{ lang.error_hint(&shown) }</p>
            </Notice>
        )
    } else {
        html!(<ErrorNote error={shown} actions={again} />)
    };
    html!(
        <Frame title={lang.t("vault.closed")} subtitle={lang.t("vault.closed_help")}>
            <div class="gb-stack" data-testid="vault-closed">
                { note }
                { match passphrase {
                    Passphrase::Set => html!(<PassphraseForm choose=false busy={props.busy} unlock={props.unlock.clone()} />),
                    Passphrase::CanBeChosen => html!(<PassphraseForm choose=true busy={props.busy} unlock={props.unlock.clone()} />),
                    Passphrase::NoUse => Html::default(),
                } }
            </div>
        </Frame>
    )
}

#[derive(PartialEq, Properties)]
struct PassphraseFormProps {
    /// A new one is chosen, rather than the old one asked for.
    choose: bool,
    busy: bool,
    unlock: Callback<Option<String>>,
}

#[component]
fn PassphraseForm(props: &PassphraseFormProps) -> Html {
    let lang = use_lang();
    let typed = use_state_eq(AttrValue::default);
    let again = use_state_eq(AttrValue::default);
    let choose = props.choose;
    let short = choose && typed.chars().count() < SHORTEST;
    let differ = choose && *typed != *again;
    let onsubmit = {
        let typed = (*typed).clone();
        props.unlock.reform(move |event: SubmitEvent| {
            event.prevent_default();
            Some(typed.to_string())
        })
    };
    let oninput = {
        let typed = typed.setter();
        Callback::from(move |text: String| typed.set(text.into()))
    };
    let onagain = {
        let again = again.setter();
        Callback::from(move |text: String| again.set(text.into()))
    };
    html!(
        <form class="pf-v6-c-form" {onsubmit}>
            if choose {
                <p>{ lang.t("vault.choose_help") }</p>
            }
            <TextField
                id="vault-passphrase"
                kind="password"
                label={lang.t(if choose { "vault.new_passphrase" } else { "vault.passphrase" })}
                hint={choose.then(|| lang.t("vault.passphrase_hint"))}
                problem={(short && !typed.is_empty()).then(|| lang.t("vault.passphrase_hint"))}
                value={(*typed).clone()}
                {oninput}
                autofocus=true
            />
            if choose {
                <TextField
                    id="vault-passphrase2"
                    kind="password"
                    label={lang.t("vault.again")}
                    problem={(differ && !again.is_empty()).then(|| lang.t("setup.differ"))}
                    value={(*again).clone()}
                    oninput={onagain}
                />
            }
            <Act
                id="vault-unlock"
                kind={Kind::Primary}
                label={lang.t(if choose { "vault.choose" } else { "vault.unlock" })}
                submit=true
                block=true
                busy={props.busy}
                disabled={typed.is_empty() || short || differ}
            />
        </form>
    )
}
