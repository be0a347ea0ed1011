"""What is asked of a page in the browser. Each probe is a JavaScript function; its answer is plain data."""

SHOWN = """([width, theme]) =>
  innerWidth === width && matchMedia(`(prefers-color-scheme: ${theme})`).matches
  && (document.documentElement.dataset.theme ?? theme) === theme"""
"""Whether a page has come to a width and a theme."""

MEASURE = r"""() => {
  const problems = [];
  const name = e => [e.tagName.toLowerCase() + (e.id ? '#' + e.id : ''), ...e.classList].join('.');
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > room) {
    const apart = e => { for (let p = e; p && p !== document.body; p = p.parentElement) {
      const style = getComputedStyle(p);
      if (style.position === 'fixed' || (p !== e && style.overflowX !== 'visible')) return true;
    } return false; };
    const wide = [...document.body.querySelectorAll('*')].filter(e => {
      const box = e.getBoundingClientRect(); return box.width > 0 && box.right > room + 1 && !apart(e); });
    const far = Math.max(...wide.map(e => e.getBoundingClientRect().right));
    const last = wide.findLast(e => e.getBoundingClientRect().right === far);
    const most = document.documentElement.scrollWidth - room;
    problems.push(`scrolls sideways by ${most} px` + (last ? `: ${name(last)}` : ''));
  }
  for (const image of document.images)
    if (image.complete && !image.naturalWidth) problems.push(`image does not load: ${image.getAttribute('src')}`);
  const maths = [...document.querySelectorAll('span.math, div.math')];
  const bare = maths.filter(m => !m.querySelector('mjx-container')?.getBoundingClientRect().width && m.offsetParent);
  const some = bare.length ? bare[0].textContent.trim().slice(0, 40) : '';
  if (bare.length) problems.push(`${bare.length} of ${maths.length} formulas are not set: ${some}`);
  const wrong = document.querySelectorAll('mjx-merror, [data-mjx-error]');
  if (wrong.length) problems.push(`a formula has an error: ${wrong[0].textContent.slice(0, 80)}`);
  return problems;
}"""
"""Problems that show in the geometry of a page: width, images, formulas."""

RUN_AXE = r"""async rules => {
  const known = new Set();
  for (const token of document.querySelectorAll('.highlight pre span')) {
    const look = token.className + getComputedStyle(token).color;
    if (known.has(look)) token.replaceWith(...token.childNodes); else known.add(look);
  }
  const options = {resultTypes: ['violations'], preload: false, ...(rules && {runOnly: rules})};
  const found = await axe.run({exclude: [['mjx-container']]}, options);
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => {
    const first = v.nodes[0];
    const why = [...first.any, ...first.all, ...first.none].map(c => c.message)[0] ?? v.help;
    return `${v.id} (${v.impact}), ${v.nodes.length} of them, the first ${first.target.join(' ')}: ${why}`;
  });
}"""
"""What axe-core calls serious or critical. Of tokens of code that look alike one stays, or it would take seconds."""

KEYBOARD_STEP = r"""() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  const marked = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
  const place = e.closest('#pst-skip-link, .skip-link') ? 'skip link'
    : e.closest('.search-button, .search-button-field, .bd-search') ? 'search'
    : e.closest('.bd-sidebar-primary nav') ? 'navigation'
    : e.closest('article.bd-article') ? 'text' : 'elsewhere';
  const said = (e.getAttribute('aria-label') || e.textContent || '').trim().replace(/\s+/g, ' ').slice(0, 40);
  return {place, seen: e === document.body || (marked && box.width > 0), name: `${e.tagName.toLowerCase()} ${said}`};
}"""
"""Where the focus is, and whether one sees it."""

STOPS_IN_TEXT = r"""() => {
  const stops = document.querySelectorAll('article.bd-article :is(a[href], button, input, [tabindex="0"])');
  return [...stops].filter(e => e.checkVisibility({visibilityProperty: true})).length;
}"""
"""How many places of a page's text the keyboard should reach."""
