/** The pages, in the order of the navigation, with the second key of their `g` shortcut. */
export const PAGES = [
  { path: '/', title: 'Overview', key: 'o', question: 'Is everything all right?' },
  { path: '/alerts', title: 'Alerts', key: 'a', question: 'What must I do now?' },
  { path: '/map', title: 'Map', key: 'm', question: 'Who talks to whom, and is it safe?' },
  { path: '/traffic', title: 'Traffic', key: 't', question: 'What happened?' },
  {
    path: '/denials',
    title: 'Denials',
    key: 'd',
    question: 'Who was stopped, and should they have been?',
  },
  { path: '/policies', title: 'Policies', key: 'p', question: 'What is in force, who says so?' },
  {
    path: '/enforcement',
    title: 'Enforcement',
    key: 'e',
    question: 'Is what was decided what happens?',
  },
  { path: '/identities', title: 'Identities', key: 'i', question: 'Who is who, and until when?' },
  { path: '/evidence', title: 'Evidence', key: 'v', question: 'Can I prove it?' },
] as const;

/** One entry of the navigation. */
export type PageEntry = (typeof PAGES)[number];

/** The page that an address belongs to; undefined for an address that is none of ours. */
export function pageOf(path: string): PageEntry | undefined {
  if (path === '/') return PAGES[0];
  return PAGES.find(
    (page) => page.path !== '/' && (path === page.path || path.startsWith(`${page.path}/`)),
  );
}
