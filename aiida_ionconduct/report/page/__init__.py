"""The HTML pages of one campaign and of several: one file each, nothing fetched.

``campaign``: the page of a campaign.
``campaign_figures``: which figures it has, with their titles, captions and downloads.
``figure_files``: its figures as files, for talks and papers.
``models``: the page of a study of models.
``comparison``: the page that compares campaigns.
``template``: the Jinja templates of ``templates/`` filled with figures and all that the pages show.
``downloads``: numbers as CSV and JSON files inside a page.
"""
