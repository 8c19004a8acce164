// Draws only the visible rows of a long list.

import { useEffect, useLayoutEffect, useRef, useState } from "../core/ui.js";

const BEYOND = 8; // rows above and below, so that scrolling shows no gaps

/**
 * @param {{count: number, rowPx: number, headPx?: number, nearEnd?: () => void}} what
 *   rowPx: the height of each row; headPx: the height of the part above the rows; nearEnd: called near the last rows
 * @returns {{element: {current: HTMLElement | null}, first: number, last: number, before: number, after: number,
 *   show: (index: number) => void}}
 *   first, last: the rows to draw, the last one excluded; before, after: the pixels of the rows that are not drawn
 */
export function useWindow({ count, rowPx, headPx = 0, nearEnd }) {
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  const [range, setRange] = useState({ first: 0, last: 40 });

  const look = () => {
    const box = element.current;
    if (!box) return;
    const first = Math.max(0, Math.floor((box.scrollTop - headPx) / rowPx) - BEYOND);
    const last = Math.min(count, Math.ceil((box.scrollTop - headPx + box.clientHeight) / rowPx) + BEYOND);
    setRange((before) => (before.first === first && before.last === last ? before : { first, last }));
  };
  const seeing = useRef(look);
  seeing.current = look;

  useLayoutEffect(look, [count]);
  useEffect(() => {
    const box = element.current;
    if (!box) return undefined;
    const scrolled = () => seeing.current();
    box.addEventListener("scroll", scrolled, { passive: true });
    const sized = new ResizeObserver(scrolled);
    sized.observe(box);
    return () => {
      box.removeEventListener("scroll", scrolled);
      sized.disconnect();
    };
  }, []);
  useEffect(() => {
    if (nearEnd && range.last >= count - 2 * BEYOND) nearEnd();
  }, [range.last, count]);

  const show = (/** @type {number} */ index) => {
    const box = element.current;
    if (!box) return;
    const top = headPx + index * rowPx;
    if (top < box.scrollTop + headPx) box.scrollTop = top - headPx;
    else if (top + rowPx > box.scrollTop + box.clientHeight) box.scrollTop = top + rowPx - box.clientHeight;
  };
  const first = Math.min(range.first, count);
  const last = Math.min(Math.max(range.last, first), count);
  return { element, first, last, before: first * rowPx, after: (count - last) * rowPx, show };
}
