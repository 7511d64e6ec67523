"""The URL paths of the dashboard."""

from __future__ import annotations

from django.urls import path

from dashboard import views

urlpatterns = [
    path("", views.page, name="dashboard"),
    path("all.zip", views.everything, name="dashboard-all"),
    path("weekly/", views.weekly, name="dashboard-weekly"),
    path("weekly/mail.html", views.weekly_mail, name="dashboard-weekly-mail"),
    path("weekly/summary.pdf", views.weekly_pdf, name="dashboard-weekly-pdf"),
    path("people/<slug:client>/<slug:digits>", views.person, name="dashboard-person"),
    path("people/<slug:client>/<slug:digits>/<slug:name>.csv", views.person_table, name="dashboard-person-csv"),
    path("<slug:name>.csv", views.table, name="dashboard-csv"),
]
