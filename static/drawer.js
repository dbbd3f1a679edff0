// The drawer with the debugger: closed until the button in the bar opens it. The page beside it
// stays usable.

import { $ } from "./dom.js";

function setOpen(isOpen) {
  $("drawer").hidden = !isOpen;
  $("open-drawer").ariaExpanded = String(isOpen);
  // The layout makes room for the drawer, and toasts stay off it.
  document.body.dataset.drawer = isOpen ? "open" : "closed";
}

export function closeDrawer() {
  const hadFocus = $("drawer").contains(document.activeElement);
  setOpen(false);
  if (hadFocus) $("open-drawer").focus();
}

$("open-drawer").addEventListener("click", () => {
  if (!$("drawer").hidden) return closeDrawer();
  setOpen(true);
  $("drawer-title").focus();
});
$("close-drawer").addEventListener("click", closeDrawer);
$("drawer").addEventListener("keydown", ({ key }) => key === "Escape" && closeDrawer());
