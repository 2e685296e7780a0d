// The colours that were chosen last, before anything is painted: this is the one script that the page
// waits for, and it runs from a file because the page allows none inside.
"use strict";
try {
  const theme = localStorage.getItem("cache-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be forbidden: the system's colours it is.
}
